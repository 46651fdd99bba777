import { Time } from "@tidelock/testkit/vault-kit";
import { beforeAll, expect, test } from "vitest";
import { random } from "../host/files.ts";
import { createJwtSigner, newTokenKey, type TokenKeys } from "./jwt.ts";
import { createTokens, type Tokens } from "./token.ts";

const AUDIENCE = "https://sync.example";
const [device, person] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
let keys: TokenKeys;
beforeAll(async () => {
  keys = { keys: [await newTokenKey(0, random)] };
});

async function at(
  over: { audience?: string; keys?: TokenKeys; time?: Time } = {},
): Promise<Tokens & { time: Time }> {
  const time = over.time ?? new Time();
  const clock = { now: () => time.now(), mono: () => time.mono };
  const signer = await createJwtSigner(over.keys ?? keys, over.audience ?? AUDIENCE, clock);
  return { ...createTokens(signer, clock), time };
}

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "fine",
    (error: { code?: unknown }) => error.code,
  );

test("[SRV25] a session says who it is for and ends after 15 minutes, also for who saw it before", async () => {
  const tokens = await at();
  const { token, expires } = await tokens.issue(device, person);
  expect(await tokens.verify(token)).toMatchObject({ device, person, until: expires });
  await tokens.time.run(15 * 60_000 - 1_000);
  expect(await codeOf(tokens.verify(token))).toBe("fine");
  await tokens.time.run(1_000);
  expect(await codeOf(tokens.verify(token))).toBe("session-expired");
  expect(await codeOf((await at({ time: tokens.time })).verify(token))).toBe("session-expired");
});

test("[SRV25] another server's session, and one under a key that is not ours, are no proof", async () => {
  const { token } = await (await at()).issue(device, person);
  expect(await codeOf((await at({ audience: "https://other.example" })).verify(token))).toBe("bad-proof");
  const others = { keys: [await newTokenKey(0, random)] };
  expect(await codeOf((await at({ keys: others })).verify(token))).toBe("bad-proof");
  // The same name over another key.
  const named = { keys: [{ ...others.keys[0], kid: keys.keys[0]?.kid }] } as TokenKeys;
  expect(await codeOf((await at({ keys: named })).verify(token))).toBe("bad-proof");
  expect(await codeOf((await at()).verify("x".repeat(5_000)))).toBe("bad-proof");
});

test("[SRV25] a key that no longer signs is believed on", async () => {
  const { token } = await (await at()).issue(device, person);
  const rotated = { keys: [await newTokenKey(1, random), ...keys.keys] };
  expect(await codeOf((await at({ keys: rotated })).verify(token))).toBe("fine");
});

test("[SRV26] what signs a device out asks for a session younger than a minute", async () => {
  const tokens = await at();
  const session = await tokens.verify((await tokens.issue(device, person)).token);
  expect(tokens.isFresh(session)).toBe(true);
  await tokens.time.run(60_000);
  expect(tokens.isFresh(session)).toBe(false);
});
