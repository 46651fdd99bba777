/** The route table as OpenAPI 3.1: made from what the server goes by, so it cannot say anything else. */
import { problemKinds } from "../problem.ts";
import { BINARY } from "./call.ts";
import type { Route } from "./route.ts";

export function openApi(routes: readonly Route[]): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const at = paths[route.path] ?? {};
    at[route.method.toLowerCase()] = operation(route);
    paths[route.path] = at;
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Tidelock server",
      version: "1",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      securitySchemes: {
        session: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        operator: { type: "http", scheme: "bearer" },
      },
      responses: { problem: { description: "RFC 9457; `code` is one of the list", content: problemContent } },
    },
  };
}

const problemContent = {
  "application/problem+json": {
    schema: {
      type: "object",
      required: ["type", "status", "code", "title", "why", "next", "requestId"],
      properties: {
        code: { type: "string", enum: Object.keys(problemKinds) },
        retryAfterMs: { type: "number" },
      },
    },
  },
};

function operation(route: Route): unknown {
  const parameters = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const responses: Record<string, unknown> = { default: { $ref: "#/components/responses/problem" } };
  for (const [status, description] of Object.entries(route.answers))
    if (Number(status) < 400) responses[status] = { description };
  const type = route.body === "json" ? "application/json" : BINARY;
  return {
    summary: route.summary,
    "x-tidelock-policy": route.policy,
    ...(route.fresh === true ? { "x-tidelock-fresh": true } : {}),
    parameters,
    ...(route.body === "none"
      ? {}
      : { requestBody: { required: true, "x-tidelock-most": route.most, content: { [type]: {} } } }),
    security: route.policy === "open" ? [] : [{ [route.policy === "operator" ? "operator" : "session"]: [] }],
    responses,
  };
}
