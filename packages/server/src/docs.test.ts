import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { problemKinds } from "./problem.ts";
import { routes } from "./routes.ts";

const page = readFileSync(new URL("../../../docs/server.md", import.meta.url), "utf8");

test("[SRV55] the page about the server has every route with its policy, and no other", () => {
  const rows = [...page.matchAll(/^\| (GET|HEAD|POST|PUT|DELETE) \| `([^`]+)` \| ([a-z]+)(, fresh)? \|/gm)];
  const told = rows.map(([, method, path, policy, fresh]) => [method, path, policy, fresh !== undefined]);
  expect(told).toEqual(
    routes.map(({ method, path, policy, fresh }) => [method, path, policy, fresh === true]),
  );
});

test("[SRV50] the page about the server has every code under its status, and no other", () => {
  const told = [...page.matchAll(/^\| (\d{3}) \| (.*) \|$/gm)].flatMap(([, status, codes]) =>
    [...(codes ?? "").matchAll(/`([a-z-]+)`/g)].map(([, code]) => `${code} ${status}`),
  );
  const known = Object.entries(problemKinds).map(([code, { status }]) => `${code} ${status}`);
  expect(told.sort()).toEqual(known.sort());
});
