/**
 * Everybody asks for everything: each actor, with each kind of id, at each route. What must come of
 * it is worked out from the route's declared policy, before and without looking at an answer.
 *
 * A new route without a body falls in by itself; one with a body needs a sample of an honest request,
 * and a new kind of id needs examples (both in testkit's `server-samples.ts`). A new policy needs a
 * row in `rules` and does not compile without.
 */
import { toBase64Url } from "@tidelock/core/bytes/base64url";
import { encodeUtf8 } from "@tidelock/core/bytes/bytes";
import { type Asker, createAskers, type Rank } from "@tidelock/testkit/server-askers";
import { type Cast, createCast } from "@tidelock/testkit/server-cast";
import {
  type IdKind,
  idOf,
  type Prepared,
  paramsOf,
  prepare,
  requestOf,
  type Sample,
  samplesOf,
} from "@tidelock/testkit/server-samples";
import { ServerStage, type StageAnswer } from "@tidelock/testkit/server-stage";
import { afterAll, beforeAll, expect, test } from "vitest";
import { atLeast } from "../log/access.ts";
import { type ProblemCode, problemKinds } from "../problem.ts";
import { routes } from "../routes.ts";
import type { Level } from "../store.ts";
import type { Policy, Route } from "./route.ts";

/** A code, or undefined where it is let through. */
type Outcome = ProblemCode | undefined;
type Rule = (rank: Rank) => Outcome;

const isLevel = (rank: Rank): rank is Level =>
  rank !== "joining" && rank !== "removed" && rank !== "stranger";
const least =
  (level: Level): Rule =>
  (rank) =>
    isLevel(rank) && atLeast(rank, level) ? undefined : "no-access";
const anybody: Rule = () => undefined;
/** Who is nobody in a vault learns nothing; who was somebody learns only that. */
const inside =
  (rule: Rule): Rule =>
  (rank) => {
    if (rank === "stranger") return "not-found";
    return rank === "removed" ? "device-removed" : rule(rank);
  };

const rules: Readonly<Record<Policy, Rule>> = {
  open: anybody,
  device: anybody,
  past: (rank) => (rank === "stranger" ? "not-found" : undefined),
  join: inside(anybody),
  member: inside(least("viewer")),
  write: inside(least("editor")),
  admin: inside(least("admin")),
  owner: inside(least("owner")),
  // By a token of its own, which no device has.
  operator: anybody,
};

const needs: Readonly<Record<NonNullable<Sample["needs"]>, Rule>> = {
  admitted: inside(least("viewer")),
  editor: inside(least("editor")),
  admin: inside(least("admin")),
  // Another's index, or one's own a second time: SRV10, SRV11.
  joining: inside((rank) => (rank === "joining" ? undefined : "rejected")),
};

type Kinds = Readonly<Record<string, IdKind>>;

/** What an id that is not one's own leads to, once the vault lets the caller in. */
function objectOutcome({ method, path, policy }: Route, kinds: Kinds): Outcome {
  const { b, d, r } = kinds;
  if (b !== undefined && b !== "own") {
    if (method !== "PUT") return "blob-missing";
    // What lies in another vault is as new here as what lies nowhere.
    if (b === "another") return "hash-mismatch";
  }
  if (d !== undefined && d !== "own") return "not-found";
  if (r !== undefined && r !== "own") {
    // Knowing the id is what lets in: that is what a rendezvous is for.
    if (policy === "open") return r === "foreign" ? undefined : "code-expired";
    return "not-found";
  }
  const known = ["v", "b", "d", "r", "slot"];
  const unknown = Object.keys(kinds).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`say what a foreign {${unknown}} of ${path} leads to`);
  return undefined;
}

/** The operator names whom he likes, also in advance; only what he deletes has to be there. */
function operatorOutcome({ path }: Route, kinds: Kinds): Outcome {
  if (path.includes("/groups/") || path.includes("/entitlements/")) return undefined;
  return Object.values(kinds).some((kind) => kind === "absent" || kind === "another")
    ? "not-found"
    : undefined;
}

function expected(route: Route, asker: Asker, kinds: Kinds, sample: Sample): Outcome {
  if (Object.values(kinds).includes("malformed")) return "not-found";
  if (route.policy === "operator") return asker.isOperator ? operatorOutcome(route, kinds) : "bad-proof";
  if (route.policy !== "open") {
    if (asker.session !== undefined) return asker.session;
    if (route.fresh === true && asker.isStale) return "session-expired";
    if (kinds["v"] !== undefined) {
      if (kinds["v"] !== "own") return "not-found";
      const refused = rules[route.policy](asker.rank);
      if (refused !== undefined) return refused;
      if (sample.needs !== undefined) {
        const more = needs[sample.needs](asker.rank);
        if (more !== undefined) return more;
      }
    }
  }
  return objectOutcome(route, kinds);
}

/** Some routes have hundreds of cells. */
const SLOW = 60_000;

let stage: ServerStage;
let cast: Cast;
let askers: readonly Asker[];
let prepared: Prepared;

beforeAll(async () => {
  stage = await ServerStage.open();
  cast = await createCast(stage);
  // Sessions can be any age now.
  await stage.time.run(3_600_000);
  askers = await createAskers(stage, cast);
  prepared = await prepare(stage, cast);
  await stage.save();
});
afterAll(() => stage.dispose());

interface Cell {
  readonly name: string;
  readonly kinds: Kinds;
  readonly sample: string;
  readonly outcome: Outcome;
  readonly answer: StageAnswer;
}

const allKinds: readonly IdKind[] = ["own", "foreign", "gone", "absent", "malformed", "another"];

/** Every kind of id for each parameter of the address. */
function kindsFor({ path }: Route, asker: Asker): readonly Kinds[] {
  return paramsOf(path).reduce<readonly Kinds[]>(
    (before, name) => {
      const there = allKinds.filter((kind) => idOf(name, kind, asker) !== undefined);
      return before.flatMap((kinds) => there.map((kind) => ({ ...kinds, [name]: kind })));
    },
    [{}],
  );
}

/** Each asked of the saved state, which stays behind. */
async function cellsOf(route: Route, asker: Asker): Promise<readonly Cell[]> {
  const cells: Cell[] = [];
  for (const kinds of kindsFor(route, asker)) {
    for (const sample of samplesOf(route, asker, kinds, prepared)) {
      const outcome = expected(route, asker, kinds, sample);
      const answer = await stage.ask(requestOf(route, asker, kinds, sample.body));
      const ids = Object.entries(kinds).map(([name, kind]) => `${kind} {${name}}`);
      const name = [`${route.method} ${route.path}`, sample.name, asker.name, ...ids].join(", ");
      cells.push({ name, kinds, sample: sample.name, outcome, answer });
      if (stage.changed().length === 0) continue;
      await stage.restore();
      // Who is refused changes nothing, and who only looks neither.
      const mayWrite = outcome === undefined && route.method !== "GET" && route.method !== "HEAD";
      expect([name, mayWrite]).toEqual([name, true]);
    }
  }
  return cells;
}

function checkAnswer(route: Route, { name, outcome, answer }: Cell): void {
  if (outcome === undefined)
    expect([name, Object.keys(route.answers)]).toEqual([
      name,
      expect.arrayContaining([String(answer.status)]),
    ]);
  else expect([name, answer.status, answer.code]).toEqual([name, problemKinds[outcome].status, outcome]);
}

/** What an answer says, without what is drawn for each. */
function shape({ status, headers, bytes }: StageAnswer): unknown {
  const { "tidelock-request": id = "", ...rest } = headers;
  return [status, new TextDecoder().decode(bytes).replaceAll(id, ""), bytes.length, rest];
}

/** What is another's, what is nowhere and what is no id cannot be told apart. */
function checkAlike(cells: readonly Cell[], { name, kinds, sample, outcome, answer }: Cell): void {
  const entries = Object.entries(kinds).map(([param, kind]) => [param, kind === "own" ? kind : "absent"]);
  const twin = JSON.stringify(Object.fromEntries(entries));
  const absent = cells.find((one) => JSON.stringify(one.kinds) === twin && one.sample === sample);
  if (absent !== undefined && absent.outcome === outcome)
    expect([name, shape(answer)]).toEqual([name, shape(absent.answer)]);
}

/** No answer names what the asker has no part in, unless he named it himself. */
function checkSilence(asker: Asker, { name, kinds, answer }: Cell): void {
  if (asker.isOperator) return;
  const isInside = asker.session === undefined && asker.rank !== "stranger";
  const asked = Object.entries(kinds).map(([param, kind]) => idOf(param, kind, asker));
  for (const { vault, blobId } of isInside ? [asker.foreign] : [asker.foreign, asker.own])
    for (const id of [vault.id, vault.founder.id, vault.founder.person.id, blobId]) {
      const text = toBase64Url(id);
      const isTold =
        holds(answer.bytes, encodeUtf8(text)) ||
        holds(answer.bytes, id) ||
        Object.values(answer.headers).some((value) => value.includes(text));
      expect([name, isTold && !asked.includes(text)]).toEqual([name, false]);
    }
}

function holds(bytes: Uint8Array, what: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(what));
}

test.each(routes.map((route) => [`${route.method} ${route.path}`, route] as const))(
  "[P11] [SRV10] [SRV51] %s does for everybody what its policy says, and nothing else",
  async (_, route) => {
    for (const asker of askers) {
      const cells = await cellsOf(route, asker);
      for (const cell of cells) {
        checkAnswer(route, cell);
        checkAlike(cells, cell);
        checkSilence(asker, cell);
      }
    }
  },
  SLOW,
);

test("[SRV51] no route is without honest requests, and no asker without ids", () => {
  const cells = routes.flatMap((route) =>
    askers.flatMap((asker) =>
      kindsFor(route, asker).flatMap((kinds) => samplesOf(route, asker, kinds, prepared)),
    ),
  );
  expect(askers).toHaveLength(20);
  expect(cells.length).toBeGreaterThan(6 * routes.length * askers.length);
});
