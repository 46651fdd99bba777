/**
 * Spoiled requests to every route: what began as an honest one, with some of its bytes, words or
 * numbers changed. None may do more than be refused, in the server's own words.
 */
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { encodeHeader, parseFrame, signFrame } from "@tidelock/core/log/frame";
import { encodeFrameList, parseFrameList } from "@tidelock/core/log/frame-list";
import { type Asker, createAskers } from "@tidelock/testkit/server-askers";
import { createCast } from "@tidelock/testkit/server-cast";
import {
  type IdKind,
  type Prepared,
  paramsOf,
  prepare,
  requestOf,
  samplesOf,
} from "@tidelock/testkit/server-samples";
import { ServerStage, type StageAnswer, type StageRequest } from "@tidelock/testkit/server-stage";
import { Spoiler } from "@tidelock/testkit/spoiler";
import { draws, repeatable, seeds } from "@tidelock/testkit/suites/seeds";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ProblemCode, problemKinds } from "../problem.ts";
import { routes } from "../routes.ts";
import type { Route } from "./route.ts";

/** Requests of one seed. They meet what those before them have left. */
const REQUESTS = 120;
const PIECE = 64 << 10;

let stage: ServerStage;
let askers: readonly Asker[];
let prepared: Prepared;

beforeAll(async () => {
  stage = await ServerStage.open();
  const cast = await createCast(stage);
  await stage.time.run(3_600_000);
  askers = await createAskers(stage, cast);
  prepared = await prepare(stage, cast);
  await stage.save();
});
afterAll(() => stage.dispose());

/** Bytes more often, since most of what can go wrong is in there; and seldom what ends an account or a vault. */
const weighted: readonly Route[] = routes.flatMap((route) =>
  Array.from({ length: weightOf(route) }, () => route),
);

function weightOf({ method, path, body, policy }: Route): number {
  if (method === "POST" && path.endsWith("/frames")) return 48;
  if (body !== "none") return 12;
  const ends =
    policy === "owner" || policy === "operator" || path.startsWith("/v1/devices") || path.endsWith("/me");
  return method === "DELETE" && ends ? 1 : 4;
}

interface Spoiled extends StageRequest {
  /** Bytes of the body that the server has taken. */
  readonly taken: () => number;
}

const named = (name: string): Asker => askers.find((one) => one.name === name) as Asker;

function honest(spoiler: Spoiler, route: Route): StageRequest & { readonly sample: Uint8Array | undefined } {
  const most =
    route.policy === "operator"
      ? "whoever runs the server"
      : spoiler.pick(["owner", "owner", "editor", "viewer", "not admitted yet", "removed"]);
  const asker = spoiler.chance(0.9) ? named(most) : spoiler.pick(askers);
  const kinds: Record<string, IdKind> = {};
  for (const name of paramsOf(route.path))
    kinds[name] =
      spoiler.chance(0.9) || name === "slot" ? "own" : spoiler.pick(["foreign", "absent", "another"]);
  const sample = spoiler.pick(samplesOf(route, asker, kinds, prepared)).body;
  const request = requestOf(route, asker, kinds, sample);
  if (sample === undefined || !route.path.endsWith("/frames") || spoiler.chance(0.3))
    return { ...request, sample };
  return { ...request, sample: framesOf(spoiler, asker, sample) };
}

/** As a member would send them who follows no rule but signs: what stands behind a signature is reached by nobody else. */
function framesOf(spoiler: Spoiler, { device, own }: Asker, sample: Uint8Array): Uint8Array {
  const frames = (parseFrameList(sample) ?? []).map((bytes) => {
    const frame = parseFrame(bytes);
    if (frame === null) return bytes;
    const body = spoiler.chance(0.7) ? spoiler.bytes(frame.body) : frame.body;
    const header = { ...frame };
    if (spoiler.chance(0.4)) {
      const name = spoiler.pick([
        "kind",
        "flags",
        "epoch",
        "device",
        "deviceSeq",
        "anchorSeq",
        "sealedAt",
      ] as const);
      header[name] = spoiler.pick([0, 1, 2, header[name] + 1, 255, 2 ** 31, 2 ** 40]);
    }
    try {
      return signFrame(
        stage.suite,
        own.vault.id,
        encodeHeader(header, body.length),
        body,
        device.keys.signSecret,
      );
    } catch {
      return bytes; // no header says that
    }
  });
  return encodeFrameList(spoiler.chance(0.2) ? [...frames, ...frames] : frames);
}

function spoiled(spoiler: Spoiler, route: Route): Spoiled {
  const request = honest(spoiler, route);
  let { method, path, token, sample } = request;
  const headers: Record<string, string> = {};
  for (let n = spoiler.int(4); n > 0; n--) {
    const what = spoiler.int(sample === undefined ? 5 : 16);
    if (what === 0) path = path.slice(0, 4) + spoiler.text(path.slice(4));
    else if (what === 1) path = `${path}?${query(spoiler)}`;
    else if (what === 2) token = token === undefined ? undefined : spoiler.text(token).replace(/[^ -~]/g, "");
    else if (what === 3) headers["range"] = spoiler.text("bytes=0-9");
    else if (what === 4)
      method = spoiler.pick(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"]);
    else if (what === 5)
      headers["content-length"] = spoiler.pick([
        "0",
        "-1",
        "1e3",
        "00012",
        "4194304",
        "99999999999999999999",
        "",
      ]);
    else if (sample !== undefined) sample = body(spoiler, route, sample);
  }
  let count = 0;
  async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    // Some send more than they announced, without end.
    const endless = spoiler.chance(0.02);
    for (let at = 0; at < bytes.length || endless; at += PIECE) {
      const piece = at < bytes.length ? bytes.subarray(at, at + PIECE) : new Uint8Array(PIECE);
      count += piece.length;
      yield piece;
    }
  }
  const length: Record<string, string> =
    sample === undefined ? {} : { "content-length": String(sample.length) };
  return {
    method,
    // Time stands still here: nothing is waited for.
    path: path.replace(/wait=[^&]*/g, "wait=0"),
    token,
    headers: { ...length, ...headers },
    ...(sample === undefined ? {} : { bytes: sample, stream: pieces(sample) }),
    taken: () => count,
  };
}

function query(spoiler: Spoiler): string {
  const name = spoiler.pick(["after", "frames", "bytes", "before", "wait", "x"]);
  const value = spoiler.text(String(spoiler.int(5)));
  return spoiler.chance(0.2) ? `${name}=${value}&${name}=2` : `${name}=${value}`;
}

function body(spoiler: Spoiler, route: Route, sample: Uint8Array): Uint8Array {
  if (route.body !== "json" || spoiler.chance(0.2)) return spoiler.bytes(sample, prepared.signIn);
  try {
    return encodeUtf8(spoiler.json(JSON.parse(new TextDecoder().decode(sample))));
  } catch {
    return spoiler.bytes(sample);
  }
}

/** What a person or a program outside must never see: where files lie, and where the program was. */
const inside = /\/(tmp|home|root|usr|var|work)\/|node_modules|node:|\.[cm]?[jt]s\b|\n\s+at |SQLITE|Error:/;

function checkProblem(answer: StageAnswer): void {
  const { status, headers, bytes, code } = answer;
  expect([status, headers["content-type"]]).toEqual([status, "application/problem+json"]);
  const text = new TextDecoder().decode(bytes);
  const { why, title, next, requestId, ...rest } = JSON.parse(text) as Record<string, unknown>;
  expect(problemKinds[code as ProblemCode]).toMatchObject({ status, title, next });
  expect(rest).toEqual({ type: `urn:tidelock:error:${code}`, status, code });
  expect([typeof why, requestId]).toEqual(["string", headers["tidelock-request"]]);
  expect(text).not.toMatch(inside);
  expect(bytes.length).toBeLessThan(1_000);
}

async function check(request: Spoiled): Promise<StageAnswer> {
  const answer = await stage.ask(request);
  expect(answer.status).toBeLessThan(500);
  expect(answer.headers).toMatchObject({ "tidelock-proto": "1", "x-content-type-options": "nosniff" });
  const announced = Number(request.headers?.["content-length"] ?? 0);
  expect(request.taken()).toBeLessThanOrEqual((announced > 0 ? announced : 0) + 2 * PIECE);
  const changed = stage.changed();
  if (answer.status < 400) {
    if (changed.length > 0) stage.mark();
    return answer;
  }
  checkProblem(answer);
  // A proof that holds uses its challenge up, whatever is said of it then: SRV21.
  expect(changed.filter((name) => name !== "challenges")).toEqual([]);
  if (changed.length > 0) stage.mark();
  return answer;
}

function shown({ method, path, headers, bytes }: StageRequest): string {
  const body = bytes === undefined ? "" : Buffer.from(bytes.subarray(0, 4_000)).toString("base64");
  return `${method} ${path.slice(0, 300)} ${JSON.stringify(headers)} ${body}`;
}

test.each(seeds(20))(
  "[P14] [SRV50] [SRV52] whatever is sent, the answer is the server's own, and a refusal leaves all as it was (seed %d)",
  (seed) =>
    repeatable("packages/server/src/http/fuzz.test.ts", seed, async () => {
      await stage.restore();
      const spoiler = new Spoiler(draws(seed));
      const codes = new Set<string>();
      for (let n = 0; n < REQUESTS; n++) {
        const request = spoiled(spoiler, spoiler.pick(weighted));
        const { code, status } = await check(request).catch((cause: unknown) => {
          const what = cause instanceof Error ? cause.message : String(cause);
          throw new Error(`request ${n}: ${what}\n${shown(request)}`, { cause });
        });
        codes.add(code ?? String(status));
      }
      // It got further than to the door.
      expect(codes.size).toBeGreaterThan(8);
      expect(stage.events).toEqual([]);
    }),
);
