/** The server for hosts that speak `Request` and `Response`. */
import type { Answer, Call } from "./http/call.ts";
import type { Handler } from "./http/handler.ts";

export function toFetch(handler: Handler): (request: Request, address?: string) => Promise<Response> {
  return async (request, address = "") => responseOf(await handler(callOf(request, address)));
}

function callOf(request: Request, address: string): Call {
  const { pathname, searchParams } = new URL(request.url);
  const body = request.body as AsyncIterable<Uint8Array> | null;
  return {
    method: request.method,
    path: pathname,
    query: searchParams,
    header: (name) => request.headers.get(name) ?? undefined,
    body: body ?? undefined,
    address,
  };
}

function responseOf({ status, headers, body }: Answer): Response {
  const bytes = body instanceof Uint8Array || body === undefined ? body : streamOf(body);
  return new Response((bytes ?? null) as ConstructorParameters<typeof Response>[0], {
    status,
    headers: { ...headers },
  });
}

function streamOf(parts: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = parts[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
