/** What came of every attack, for people; and what is not mounted, and why. */
import type { Attack } from "./attack.ts";

export interface Row {
  readonly attack: Attack;
  readonly place: "server" | "folder";
  readonly outcome: string;
  /** Rows that no honest program wrote, on any device. */
  readonly applied: readonly string[];
}

/** Ids of the two tables that this suite does not mount, each with its reason. */
export const leftOut: readonly (readonly [ids: string, why: string])[] = [
  ["S1-S5, H38", "links: not built"],
  ["K2, K5, K6, H36, H37, H39", "escrow and passwords: not built"],
  ["L10, L11, L17, H29-H32, H48", "checkpoints and floors: not built"],
  ["H47", "a place that ignores conditions is a bucket, not built; a folder that does is REM21"],
  [
    "P1-P3, L8, H22, H24, R15",
    "pairing and invites by code: not built; R15 is between devices, in member-attacks",
  ],
  ["B1, B2, B4-B7, H28, M1-M6", "files and their packs: not built"],
  ["L16", "a vault that moved: not built"],
  ["R7, D1, S4, T1, T2", "no place has a hand in it: suites, builds, a page, devices at rest"],
];

export function tableOf(rows: readonly Row[]): string {
  const attacks = [...new Set(rows.map(({ attack }) => attack))];
  const cell = (attack: Attack, place: Row["place"]): string =>
    rows.find((row) => row.attack === attack && row.place === place)?.outcome ?? "";
  const lines = attacks.map((attack) => [
    attack.ids,
    attack.what,
    cell(attack, "server"),
    cell(attack, "folder"),
  ]);
  const all = [["ids", "attack", "server", "folder"], ...lines];
  const widths = [0, 1, 2, 3].map((i) => Math.max(...all.map((line) => (line[i] as string).length)));
  const text = all.map((line) =>
    line
      .map((one, i) => one.padEnd(widths[i] as number))
      .join("  ")
      .trimEnd(),
  );
  const applied = rows.filter((row) => row.applied.length > 0).length;
  return [
    ...text,
    "",
    `${applied} of ${rows.length} applied`,
    ...leftOut.map(([ids, why]) => `not mounted: ${ids} (${why})`),
    "",
  ].join("\n");
}
