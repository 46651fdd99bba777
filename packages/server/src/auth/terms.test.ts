import { expect, test } from "vitest";
import { type Entitlement, type GroupTerms, noTerms, type TermRows, termsOf } from "./terms.ts";

const NOW = 1_000;
const plan = (over: Partial<Entitlement> = {}): Entitlement => ({
  version: 1,
  plans: [],
  seats: undefined,
  quotaBytes: undefined,
  state: "active",
  until: undefined,
  ...over,
});
const lapsed = plan({ state: "lapsed" });
const group = (over: Partial<GroupTerms> = {}): GroupTerms => ({
  entitlement: undefined,
  used: 0,
  device: false,
  seat: undefined,
  ...over,
});
const terms = (over: Partial<TermRows>) =>
  termsOf({ own: undefined, owner: undefined, groups: [], ...over }, NOW);

test("[SRV82] [SRV83] [SRV84] where nobody has said anything, nothing is asked", () => {
  expect(terms({})).toEqual(noTerms);
});

test("[SRV84] the groups of a vault are one union: one that has the person or the device is enough, none refuses", () => {
  const cases: readonly [readonly GroupTerms[], boolean][] = [
    [[group()], false],
    [[group({ seat: 0 })], true],
    [[group({ device: true })], true],
    [[group(), group({ seat: 9 })], true],
    [[group(), group()], false],
  ];
  for (const [groups, connects] of cases) expect(terms({ groups }).connects).toBe(connects);
});

test("[SRV82] whom a plan covers: his own while it lasts, or one of the first seats of a group with a plan", () => {
  const seats = (seat: number, entitlement: Entitlement | undefined): Partial<TermRows> => ({
    own: lapsed,
    groups: [group({ seat, entitlement })],
  });
  const cases: readonly [Partial<TermRows>, boolean][] = [
    [{ own: plan() }, true],
    [{ own: lapsed }, false],
    [{ own: plan({ until: NOW + 1 }) }, true],
    [{ own: plan({ until: NOW }) }, false],
    [seats(0, plan({ seats: 1 })), true],
    [seats(1, plan({ seats: 1 })), false],
    [seats(900, plan()), true],
    [seats(0, plan({ seats: 0 })), false],
    [seats(0, lapsed), false],
    // A group without a plan lets in, and pays for nothing.
    [seats(0, undefined), false],
    [{ own: lapsed, groups: [group({ device: true, entitlement: plan() })] }, false],
    // His own plan is enough beside a group without a seat for him.
    [{ own: plan(), groups: [group({ seat: 5, entitlement: plan({ seats: 1 }) })] }, true],
    // That the owner's has ended is his own affair.
    [{ owner: { entitlement: lapsed, used: 0 } }, true],
  ];
  for (const [rows, covered] of cases) expect([rows, terms(rows).covered]).toEqual([rows, covered]);
});

test("[SRV83] the room is the best that a plan of the owner's or of a group has left", () => {
  const quota = (quotaBytes: number, used: number) => ({ entitlement: plan({ quotaBytes }), used });
  expect(terms({ owner: quota(100, 30) }).room).toBe(70);
  expect(terms({ owner: quota(100, 130) }).room).toBe(0);
  expect(terms({ owner: quota(0, 0), groups: [group(quota(500, 100))] }).room).toBe(400);
  expect(terms({ owner: quota(100, 0), groups: [group()] }).room).toBe(100);
  expect(terms({ owner: quota(100, 0), groups: [group({ entitlement: plan() })] }).room).toBe(noTerms.room);
});

test("[SRV93] how much is used is said of the plan that has the most room left", () => {
  const quota = (quotaBytes: number, used: number) => ({ entitlement: plan({ quotaBytes }), used });
  expect(terms({ owner: quota(100, 30) }).used).toBe(0.3);
  expect(terms({ owner: quota(100, 95), groups: [group(quota(500, 100))] }).used).toBe(0.2);
  expect(terms({ owner: quota(100, 95), groups: [group({ entitlement: plan() })] }).used).toBe(0);
  expect(terms({ owner: quota(0, 0) }).used).toBe(1);
});
