/** The server about itself. */
import { json } from "../http/call.ts";
import { openApi } from "../http/openapi.ts";
import type { Route } from "../http/route.ts";
import { Problem } from "../problem.ts";

const about = { method: "GET", policy: "open", body: "none", most: 0, rate: undefined } as const;

export function aboutRoutes(all: () => readonly Route[]): readonly Route[] {
  return [
    {
      ...about,
      path: "/healthz",
      summary: "The process answers",
      answers: { 200: "{ok: true}" },
      handle: async () => json(200, { ok: true }),
    },
    {
      ...about,
      path: "/readyz",
      summary: "The database and the blobs can be written",
      answers: { 200: "{ok: true}", 503: "one of them cannot" },
      handle: async ({ services }) => {
        try {
          await services.ready();
        } catch {
          throw new Problem("busy", "the server cannot write", 5_000);
        }
        return json(200, { ok: true });
      },
    },
    {
      ...about,
      path: "/openapi.json",
      summary: "This table",
      answers: { 200: "OpenAPI 3.1" },
      handle: async () => json(200, openApi(all())),
    },
  ];
}
