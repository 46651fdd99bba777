/** What a device signs to sign in at a server. Bytes: docs/format.md, "Sign-in". */
import { Writer } from "../bytes/writer.ts";
import { ctx, signatureContexts } from "./labels.ts";

export const CHALLENGE = 32;

/** `audience` is the server's own address, so that no other server can pass a signature on. */
export function loginBytes(
  audience: string,
  challenge: Uint8Array,
  device: Uint8Array,
  person: Uint8Array,
): Uint8Array {
  return new Writer(256)
    .fixed(ctx(signatureContexts.login))
    .str(audience)
    .fixed(challenge)
    .fixed(device)
    .fixed(person)
    .done();
}
