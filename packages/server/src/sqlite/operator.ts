/** What an operator says: entitlements, and who stands in which group. */
import type { Entitlement, GroupTerms, TermRows } from "../auth/terms.ts";
import type { AuditRow, Edge, EdgeKind, GroupRow, TermsQuery, Usage } from "../store.ts";
import { plain, prepareAudit } from "./audit.ts";
import type { Db } from "./file.ts";

type Bytes = Uint8Array;
type Words = [number, string, number | null, number | null, Entitlement["state"], number | null];

const WORDS = "version, plans, seats, quota_bytes, state, until";

export function prepareOperator(db: Db) {
  const { auditAlone } = prepareAudit(db);
  const found = db.prepare<[Bytes], Words>(`SELECT ${WORDS} FROM entitlements WHERE subject = ?`).raw();
  const put = db.prepare(
    `INSERT OR REPLACE INTO entitlements (subject, ${WORDS}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const addEdge = db.prepare("INSERT OR IGNORE INTO edges (group_id, kind, id) VALUES (?, ?, ?)");
  const dropEdge = db.prepare("DELETE FROM edges WHERE group_id = ? AND kind = ? AND id = ?");

  const changed = (changes: number, row: AuditRow): boolean => {
    if (changes === 0) return false;
    auditAlone(row);
    return true;
  };

  return {
    putEntitlement(subject: Bytes, e: Entitlement, row: AuditRow): "kept" | "older" | "conflict" {
      const words: Words = [
        e.version,
        JSON.stringify(e.plans),
        e.seats ?? null,
        e.quotaBytes ?? null,
        e.state,
        e.until ?? null,
      ];
      const known = found.get(subject);
      if (known !== undefined && known[0] > e.version) return "older";
      if (known !== undefined && known[0] === e.version)
        return known.every((value, i) => value === words[i]) ? "kept" : "conflict";
      put.run(subject, ...words);
      auditAlone(row);
      return "kept";
    },

    addEdge: ({ group, kind, id }: Edge, row: AuditRow): boolean =>
      changed(addEdge.run(group, kind, id).changes, row),

    dropEdge: ({ group, kind, id }: Edge, row: AuditRow): boolean =>
      changed(dropEdge.run(group, kind, id).changes, row),
  };
}

export function prepareOperatorReads(db: Db) {
  const entitlement = db.prepare<[Bytes], Words>(`SELECT ${WORDS} FROM entitlements WHERE subject = ?`).raw();
  const owned = db
    .prepare<[Bytes], [number, number]>(
      "SELECT count(*), coalesce(sum(log_bytes + blob_bytes), 0) FROM vaults WHERE owner = ?",
    )
    .raw();
  const groups = db
    .prepare<[Bytes], Bytes>("SELECT group_id FROM edges WHERE kind = 'vault' AND id = ? ORDER BY n")
    .pluck();
  const edge = db
    .prepare<[Bytes, EdgeKind, Bytes], number>(
      "SELECT n FROM edges WHERE group_id = ? AND kind = ? AND id = ?",
    )
    .pluck();
  const earlier = db
    .prepare<[Bytes, number], number>(
      "SELECT count(*) FROM edges WHERE group_id = ? AND kind = 'person' AND n < ?",
    )
    .pluck();
  const held = db
    .prepare<[Bytes], number>(
      `SELECT coalesce(sum(log_bytes + blob_bytes), 0) FROM edges JOIN vaults ON vault = id
       WHERE group_id = ? AND kind = 'vault'`,
    )
    .pluck();
  const edges = db
    .prepare<[Bytes, EdgeKind], Bytes>("SELECT id FROM edges WHERE group_id = ? AND kind = ? ORDER BY n")
    .pluck();
  const ofKind = (kind: EdgeKind): string =>
    `(SELECT count(*) FROM edges WHERE group_id = g AND kind = '${kind}')`;
  const grouped = db
    .prepare<[Bytes, number], [Bytes, number, number, number]>(
      `SELECT g, ${ofKind("person")}, ${ofKind("device")}, ${ofKind("vault")}
       FROM (SELECT group_id AS g FROM edges UNION SELECT subject FROM entitlements WHERE length(subject) = 16)
       WHERE g > ? ORDER BY g LIMIT ?`,
    )
    .raw();
  const USAGE = "person, created, closed, (SELECT count(*) FROM account_devices d WHERE d.person = p.person)";
  type Person = [Bytes, number, number | null, number];
  const persons = db
    .prepare<[Bytes, number], Person>(
      `SELECT ${USAGE} FROM persons p WHERE person > ? ORDER BY person LIMIT ?`,
    )
    .raw();
  const person = db.prepare<[Bytes], Person>(`SELECT ${USAGE} FROM persons p WHERE person = ?`).raw();

  const entitled = (subject: Bytes): Entitlement | undefined => wordsOf(entitlement.get(subject));

  const group = (id: Bytes, query: TermsQuery): GroupTerms => {
    const words = entitled(id);
    const n = edge.get(id, "person", query.person);
    return {
      entitlement: words,
      used: words === undefined ? 0 : (held.get(id) ?? 0),
      device: edge.get(id, "device", query.device) !== undefined,
      seat: n === undefined ? undefined : (earlier.get(id, n) ?? 0),
    };
  };

  const terms = (query: TermsQuery): TermRows => {
    const words = entitled(query.owner);
    return {
      own: entitled(query.person),
      owner: words === undefined ? undefined : { entitlement: words, used: owned.get(query.owner)?.[1] ?? 0 },
      groups: groups.all(query.vault).map((id) => group(id, query)),
    };
  };

  const usageRow = ([id, created, closed, devices]: Person): Usage => {
    const [vaults, bytes] = owned.get(id) ?? [0, 0];
    return {
      person: plain(id),
      created,
      closed: closed ?? undefined,
      devices,
      vaults,
      bytes,
      entitlement: entitled(id),
    };
  };

  return {
    entitlement: (subject: Bytes): Entitlement | undefined => entitled(subject),
    /** Several reads: the caller has opened a view. */
    terms: (query: TermsQuery): TermRows => terms(query),
    edges: (id: Bytes, kind: EdgeKind): readonly Bytes[] => edges.all(id, kind).map(plain),
    groups: (after: Bytes, most: number): readonly GroupRow[] =>
      grouped.all(after, most).map(([id, people, devices, vaults]) => ({
        group: plain(id),
        persons: people,
        devices,
        vaults,
        entitlement: entitled(id),
      })),
    usage: (after: Bytes, most: number): readonly Usage[] => persons.all(after, most).map(usageRow),
    usageOf(id: Bytes): Usage | undefined {
      const row = person.get(id);
      return row === undefined ? undefined : usageRow(row);
    },
  };
}

function wordsOf(row: Words | undefined): Entitlement | undefined {
  if (row === undefined) return undefined;
  const [version, plans, seats, quotaBytes, state, until] = row;
  return {
    version,
    plans: JSON.parse(plans) as readonly string[],
    seats: seats ?? undefined,
    quotaBytes: quotaBytes ?? undefined,
    state,
    until: until ?? undefined,
  };
}
