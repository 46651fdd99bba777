import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTransport, type Transport } from "./transport.ts";

let server: Server;
let transport: Transport;
/** What came in; as many of it as `breaks` says are cut off instead of answered. */
let calls: string[];
let breaks: number;

beforeEach(async () => {
  [calls, breaks] = [[], 0];
  server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    if (breaks-- > 0) request.socket.resetAndDestroy();
    else response.setHeader("tidelock-proto", "1").end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  transport = createTransport(url, fetch, { after: () => () => undefined });
  // From here on a connection is kept.
  expect(await transport.send("GET", "/first")).toMatchObject({ status: 200 });
});

afterEach(async () => {
  transport.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("[SRV92] a kept connection that is gone is replaced, and what may be asked twice is asked on the new one", async () => {
  for (const method of ["GET", "PUT", "DELETE"]) {
    breaks = 1;
    expect(await transport.send(method, "/next")).toMatchObject({ status: 200 });
    expect(calls.splice(0).slice(-2)).toEqual([`${method} /next`, `${method} /next`]);
  }
});

test("[SRV92] [SRV73] what may not be asked twice is not: whether it arrived is open", async () => {
  breaks = 1;
  expect(await transport.send("POST", "/next", { json: {} })).toMatchObject({
    kind: "unreachable",
    sent: true,
  });
  expect(calls).toEqual(["GET /first", "POST /next"]);
});

test("[SRV92] [SRV90] a server that breaks every connection is asked twice, no more", async () => {
  breaks = 99;
  expect(await transport.send("GET", "/next")).toMatchObject({ kind: "unreachable" });
  expect(calls).toEqual(["GET /first", "GET /next", "GET /next"]);
});
