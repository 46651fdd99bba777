/**
 * What the operator of a server has said about a vault and about somebody who asks for it: may he
 * connect, does a plan cover him, is there room. It can only refuse: roles are the log's, and every
 * device judges those by itself. Pure. Rules SRV80 to SRV84.
 */
export interface Entitlement {
  /** Of the words, not of the format: the highest one counts. */
  readonly version: number;
  /** Words of the operator's own; nothing here reads them. */
  readonly plans: readonly string[];
  /** Of a group: how many of its persons are covered. Undefined: all. */
  readonly seats: number | undefined;
  /** Undefined: no limit of its own. */
  readonly quotaBytes: number | undefined;
  readonly state: "active" | "lapsed";
  /** From then on it is lapsed. */
  readonly until: number | undefined;
}

export interface GroupTerms {
  readonly entitlement: Entitlement | undefined;
  /** Bytes in the group's vaults. */
  readonly used: number;
  /** The device stands in the group by itself. */
  readonly device: boolean;
  /** How many persons were put into the group before this one; undefined where it is not in it. */
  readonly seat: number | undefined;
}

/** As the store has it. */
export interface TermRows {
  /** Of the person who asks. */
  readonly own: Entitlement | undefined;
  /** Of the vault's owner, and bytes in all vaults of his. */
  readonly owner: { readonly entitlement: Entitlement; readonly used: number } | undefined;
  /** Those that hold the vault. */
  readonly groups: readonly GroupTerms[];
}

export interface Terms {
  /** No group holds the vault, or one of them has the person or the device. */
  readonly connects: boolean;
  /** By a plan of his own, or a seat of a group that holds the vault. Without it he reads, and no more. */
  readonly covered: boolean;
  /** Bytes that plans still have room for; the best of them counts. */
  readonly room: number;
  /** How much of that plan's is used: 1 is all of it, 0 where it has no limit. */
  readonly used: number;
}

/** Where nobody has said anything. */
export const noTerms: Terms = { connects: true, covered: true, room: Number.MAX_SAFE_INTEGER, used: 0 };

export function isActive({ state, until }: Entitlement, now: number): boolean {
  return state === "active" && (until === undefined || now < until);
}

export function termsOf({ own, owner, groups }: TermRows, now: number): Terms {
  const seated = groups.some(
    ({ entitlement, seat }) =>
      entitlement !== undefined &&
      isActive(entitlement, now) &&
      seat !== undefined &&
      seat < (entitlement.seats ?? Number.POSITIVE_INFINITY),
  );
  const rooms = [...(owner === undefined ? [] : [owner]), ...groups].flatMap(({ entitlement, used }) =>
    entitlement === undefined ? [] : [roomOf(entitlement, used)],
  );
  const best = rooms.reduce<Room | undefined>(
    (a, b) => (a === undefined || b.room > a.room ? b : a),
    undefined,
  );
  return {
    connects: groups.length === 0 || groups.some(({ device, seat }) => device || seat !== undefined),
    covered: own === undefined || isActive(own, now) || seated,
    ...(best ?? { room: noTerms.room, used: 0 }),
  };
}

type Room = Pick<Terms, "room" | "used">;

function roomOf({ quotaBytes }: Entitlement, used: number): Room {
  if (quotaBytes === undefined) return { room: noTerms.room, used: 0 };
  return { room: Math.max(0, quotaBytes - used), used: quotaBytes === 0 ? 1 : used / quotaBytes };
}
