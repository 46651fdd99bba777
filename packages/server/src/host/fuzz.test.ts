/** Bytes on the wire that began as requests: what Node.js refuses by itself is refused in the server's words too. */
import { connect } from "node:net";
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { ServerRig } from "@tidelock/testkit/server-rig";
import { Spoiler } from "@tidelock/testkit/spoiler";
import { draws, repeatable, seeds } from "@tidelock/testkit/suites/seeds";
import { TestVault } from "@tidelock/testkit/vault-people";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ProblemCode, problemKinds } from "../problem.ts";

/** Connections of one seed. */
const CONNECTIONS = 60;

let rig: ServerRig;
let honest: readonly string[];

beforeAll(async () => {
  rig = await ServerRig.start();
  const vault = new TestVault(rig.suite);
  await rig.found(vault);
  const v = `/v1/vaults/${toBase64Url(vault.id)}`;
  const head = `Host: x\r\nAuthorization: Bearer ${await rig.token(vault.founder)}\r\n`;
  const body = JSON.stringify({ device: toBase64Url(vault.founder.id) });
  const note = `PUT ${v}/notes HTTP/1.1\r\n${head}`;
  honest = [
    `GET ${v}/head HTTP/1.1\r\n${head}\r\n`,
    `HEAD /healthz HTTP/1.1\r\n${head}\r\n`,
    `POST /v1/auth/challenge HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`,
    `${note}Content-Length: 4\r\nExpect: 100-continue\r\n\r\nnote`,
    `${note}Transfer-Encoding: chunked\r\n\r\n4\r\nnote\r\n0\r\n\r\n`,
    `GET /v1/wake HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  ];
});
afterAll(() => rig.dispose());

/** What came back until the server closed. Half of it is closed at once: nothing more will be sent. */
function sent(pieces: readonly Uint8Array[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(rig.url).port), "127.0.0.1", () => {
      for (const piece of pieces) socket.write(piece);
      socket.end();
    });
    let got = "";
    socket.on("data", (data: Buffer) => {
      got += data.toString("latin1");
      // A WebSocket that came to be says nothing by itself.
      if (got.startsWith("HTTP/1.1 101")) socket.destroy();
    });
    socket.on("error", () => resolve(got));
    socket.on("close", () => resolve(got));
  });
}

function checkAnswer(text: string): number | undefined {
  // Who closes before he is answered may get nothing.
  if (text === "") return undefined;
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  if (status === 100) return checkAnswer(rest.join("\r\n\r\n"));
  expect([text, status < 500]).toEqual([text, true]);
  if (status === 101) return status;
  expect(head).toContain("tidelock-proto: 1");
  const json = rest.join("\r\n\r\n");
  // One answer to HEAD has no body.
  if (status < 400 || json === "") return status;
  expect(head).toContain("content-type: application/problem+json");
  const { code } = JSON.parse(json.slice(0, json.indexOf("}") + 1)) as { code: ProblemCode };
  expect([code, problemKinds[code].status]).toEqual([code, status]);
  return status;
}

function spoiled(spoiler: Spoiler): Uint8Array {
  let text = spoiler.pick(honest);
  const at = spoiler.int(text.length);
  const line = spoiler.pick(oddLines);
  if (spoiler.chance(0.4)) text = text.replace("\r\n", `\r\n${line}\r\n`);
  else if (spoiler.chance(0.3))
    text = text.slice(0, at) + spoiler.text(text.slice(at, at + 20)) + text.slice(at + 20);
  const bytes = encodeUtf8(text);
  return spoiler.chance(0.6) ? spoiler.bytes(bytes, encodeUtf8(spoiler.pick(honest))) : bytes;
}

const oddLines = [
  "Content-Length: 5",
  "Content-Length: 0",
  "Content-Length: -1",
  "Content-Length: 18446744073709551616",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Expect: the worst",
  "Upgrade: h2c",
  "Connection: close, Upgrade",
  "Host: y",
  " folded: x",
  "no colon",
  ": no name",
  "X: \u0000",
  `X: ${"x".repeat(20_000)}`,
  ...Array.from({ length: 3 }, (_, n) => "A: b\r\n".repeat(10 ** (n + 1)).trimEnd()),
];

test.each(seeds(4))(
  "[P14] [SRV50] [SRV52] whatever is on the wire, what comes back is the server's own, and it goes on (seed %d)",
  (seed) =>
    repeatable("packages/server/src/host/fuzz.test.ts", seed, async () => {
      const spoiler = new Spoiler(draws(seed));
      const statuses = new Set<number | undefined>();
      for (let n = 0; n < CONNECTIONS; n++) {
        const bytes = spoiled(spoiler);
        const at = spoiler.int(bytes.length + 1);
        const got = await sent(spoiler.chance(0.5) ? [bytes] : [bytes.subarray(0, at), bytes.subarray(at)]);
        statuses.add(checkAnswer(got));
      }
      expect(statuses).toContain(400);
      expect((await rig.send("GET", "/readyz")).status).toBe(200);
    }),
);
