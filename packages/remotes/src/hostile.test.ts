/** Real servers on the loopback that have no honest answer in mind, and the `fetch` that ships. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { createPortableSuite } from "@tidelock/core/crypto/sodium-portable";
import type { Suite } from "@tidelock/core/crypto/suite";
import type { Scheduler } from "@tidelock/core/ports";
import { newDevice, newPerson } from "@tidelock/testkit/vault-people";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createServerRemote } from "./server-remote.ts";
import { createTransport, isAnswer, type Transport } from "./transport.ts";

let suite: Suite;
beforeAll(async () => {
  suite = await createPortableSuite();
});

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** Without it they would be seen through at once. */
const mark = { "tidelock-proto": "1" };

type Work = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(work: Work): Promise<string> {
  const server = createServer(work);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A clock that only a test moves. */
function byHand(): Scheduler & { readonly ring: () => void } {
  const due = new Set<() => void>();
  return {
    after: (_, work) => {
      due.add(work);
      return () => due.delete(work);
    },
    ring: () => {
      for (const work of due) work();
    },
  };
}

const never: Scheduler = { after: () => () => undefined };
const transportOf = (url: string, scheduler: Scheduler = never): Transport =>
  createTransport(url, fetch, scheduler);

test("[SRV72] [SRV90] who sends its callers elsewhere is not followed, and no session gets there", async () => {
  const seen: string[] = [];
  const elsewhere = await serve((request, response) => {
    seen.push(request.url ?? "");
    response.end("{}");
  });
  for (const status of [301, 302, 303, 307, 308]) {
    const url = await serve((_, response) =>
      response.writeHead(status, { location: `${elsewhere}/taken` }).end(),
    );
    for (const method of ["GET", "POST"]) {
      const bytes = method === "POST" ? { bytes: new Uint8Array(9) } : {};
      const answer = await transportOf(url).send(method, "/v1/vaults", { token: "secret", ...bytes });
      // It may have been the server after all: an append stays open.
      expect(answer).toMatchObject({ kind: "corrupt", sent: true });
    }
  }
  expect(seen).toEqual([]);
});

test("[SRV90] no cookie is kept, and nothing of a page is more than bytes", async () => {
  const cookies: unknown[] = [];
  const url = await serve((request, response) => {
    cookies.push(request.headers.cookie);
    response.writeHead(200, {
      ...mark,
      "set-cookie": "session=1; Path=/",
      refresh: "0; url=/other",
      "content-type": "text/html",
      link: "</other>; rel=preload",
    });
    response.end("<html><meta http-equiv=refresh content=0><script src=/other></script>");
  });
  const device = newDevice(suite, newPerson(suite));
  const remote = createServerRemote({
    url,
    vault: new Uint8Array(32),
    suite,
    clock: { now: () => 0, mono: () => 0 },
    scheduler: never,
    fetch,
    identity: {
      person: device.person.keys,
      device: device.keys,
      signSecret: device.keys.signSecret,
      certificates: [device.certificate],
    },
  });
  for (let n = 0; n < 3; n++) expect((await remote.read(0, { frames: 1, bytes: 1 })).kind).toBe("corrupt");
  expect(cookies).toEqual([undefined, undefined, undefined]);
});

test("[SRV90] an answer byte by byte ends with the minute, wherever it stands", async () => {
  const drips: Readonly<Record<string, Work>> = {
    "nothing at all": () => undefined,
    "a head without an end": (request) => void request.socket.write("HTTP/1.1 200 OK\r\nx-a: "),
    "a head and no body": (_, response) =>
      response.writeHead(200, { ...mark, "content-length": "9" }).flushHeaders(),
    "one byte of a body": (_, response) =>
      void response.writeHead(200, { ...mark, "content-length": "9" }).write("x"),
    "interim answers": (_, response) => response.writeProcessing(),
  };
  for (const [name, work] of Object.entries(drips)) {
    const clock = byHand();
    let asked = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const url = await serve((request, response) => {
      work(request, response);
      asked();
    });
    const answer = transportOf(url, clock).send("GET", "/v1/vaults");
    await begun;
    clock.ring();
    expect([name, await answer]).toMatchObject([name, { kind: "unreachable", sent: true }]);
  }
});

test("[P14] [SRV72] what has no end, or unpacks to what has none, is cut where an answer may end", async () => {
  const bomb = gzipSync(new Uint8Array(64 << 20));
  const endless: Readonly<Record<string, Work>> = {
    "a body": (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(new Uint8Array(64 << 10)));
        if (!response.destroyed) response.once("drain", more);
      };
      response.writeHead(200, mark);
      more();
    },
    "a small one that unpacks": (_, response) => {
      response.writeHead(200, { ...mark, "content-encoding": "gzip" });
      response.end(bomb);
    },
  };
  for (const [name, work] of Object.entries(endless)) {
    const answer = await transportOf(await serve(work)).send("GET", "/v1/vaults");
    expect([name, answer]).toMatchObject([name, { kind: "corrupt", why: "the answer is too long" }]);
  }
});

test("[P14] [SRV90] an answer in pieces of one byte is the answer, and costs what it holds", async () => {
  const size = 20_000;
  const url = await serve((_, response) => {
    response.writeHead(200, mark);
    for (let n = 0; n < size; n++) response.write("x"); // a chunk each
    response.end();
  });
  const answer = await transportOf(url).send("GET", "/v1/vaults");
  expect(isAnswer(answer) && answer.body.length).toBe(size);
  // One stretch of memory, not twenty thousand.
  expect(isAnswer(answer) && answer.body.buffer.byteLength).toBeLessThan(4 * size);
});
