/** Devices that sign in and append, each over a connection of its own. */
import { fromBase64Url, toBase64Url } from "@tidelock/core/bytes/base64url";
import { loginBytes } from "@tidelock/core/crypto/login";
import type { Suite } from "@tidelock/core/crypto/suite";
import { encodeFrameList } from "@tidelock/core/log/frame-list";
import {
  type LogPoint,
  newDevice,
  newPerson,
  type TestDevice,
  TestVault,
} from "@tidelock/testkit/vault-people";
import { Wire } from "./wire.ts";

/** A lone change of 40 B makes a frame of about this size. */
const TEXT = "x".repeat(64);

export interface Client {
  readonly device: TestDevice;
  readonly vault: TestVault;
  readonly index: number;
  readonly token: string;
  readonly wire: Wire;
  /** The last device seq that was used. */
  seq: number;
  readonly at: LogPoint;
}

export class Clients {
  readonly #suite: Suite;
  readonly #url: string;

  constructor(suite: Suite, url: string) {
    this.#suite = suite;
    this.#url = url;
  }

  wire(): Promise<Wire> {
    return Wire.open(Number(new URL(this.#url).port));
  }

  /** A device of the person, that nothing has admitted to a vault: it may listen to those of its person. */
  async signedIn(device: TestDevice, wire: Wire): Promise<string> {
    const id = toBase64Url(device.id);
    const drawn = await wire.post("/v1/auth/challenge", undefined, JSON.stringify({ device: id }));
    const { challenge } = JSON.parse(drawn.text) as { challenge: string };
    const bytes = loginBytes(this.#url, fromBase64Url(challenge) as Uint8Array, device.id, device.person.id);
    const proof = {
      device: id,
      challenge,
      certificates: [toBase64Url(device.certificate)],
      signature: toBase64Url(this.#suite.sign(bytes, device.keys.signSecret)),
    };
    const answer = await wire.post("/v1/persons", undefined, JSON.stringify(proof));
    if (answer.status >= 300) throw new Error(`${answer.status} ${answer.text}`);
    return (JSON.parse(answer.text) as { token: string }).token;
  }

  /** With a vault of its own. */
  async founder(): Promise<Client> {
    const device = newDevice(this.#suite, newPerson(this.#suite));
    const vault = new TestVault(this.#suite, device);
    const wire = await this.wire();
    const token = await this.signedIn(device, wire);
    const made = await wire.post("/v1/vaults", token, vault.genesis.bytes);
    if (made.status >= 300) throw new Error(`${made.status} ${made.text}`);
    const client = { device, vault, index: 0, token, wire, seq: 1, at: vault.start };
    await append(client, [vault.first()]);
    return client;
  }

  founders(count: number): Promise<readonly Client[]> {
    return Promise.all(Array.from({ length: count }, () => this.founder()));
  }

  /** Devices of one person that all write to one log. */
  async hot(count: number): Promise<readonly Client[]> {
    const first = await this.founder();
    const clients = [first];
    while (clients.length < count) {
      const index = clients.length;
      const head = await this.#headOf(first);
      const device = newDevice(this.#suite, first.device.person);
      const wire = await this.wire();
      const token = await this.signedIn(device, wire);
      const client = { ...first, device, index, token, wire, seq: 1 };
      await append(client, [first.vault.admission(device, index, head)]);
      clients.push(client);
    }
    return clients;
  }

  async #headOf({ vault, token }: Client): Promise<LogPoint> {
    const answer = await fetch(`${this.#url}/v1/vaults/${toBase64Url(vault.id)}/head`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const head = (await answer.json()) as { seq: number; hash: string; members: string };
    const [hash, members] = [fromBase64Url(head.hash), fromBase64Url(head.members)];
    return { seq: head.seq, link: { ...vault.start.link, hash, members } as LogPoint["link"] };
  }
}

/** The client's next frames. */
export function framesOf(client: Client, count: number): readonly Uint8Array[] {
  const { vault, device, index, at } = client;
  return Array.from({ length: count }, () => vault.data(device, index, ++client.seq, TEXT, at));
}

/** Whatever else the machine does: a server that is busy is asked again. */
export async function append(client: Client, frames: readonly Uint8Array[]): Promise<void> {
  const path = `/v1/vaults/${toBase64Url(client.vault.id)}/frames`;
  for (let tries = 1; ; tries++) {
    const answer = await client.wire.post(path, client.token, encodeFrameList(frames));
    if (answer.status === 200) return;
    if (answer.status !== 503 || tries === 20) throw new Error(`${answer.status} ${answer.text}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
