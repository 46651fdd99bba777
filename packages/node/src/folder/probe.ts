/** What a volume can hold, found out on the volume itself, in our own room on it. */
import type { DiskProfile } from "@tidelock/core/kinds/files/plan/types";
import type { FolderFs } from "@tidelock/core/ports-fs";
import { removeFile } from "./root.ts";

export interface Probed {
  readonly profile: DiskProfile;
  /** Permission bits of a new file. */
  readonly mode: number;
}

const NOTHING = new Uint8Array(0);
const REFUSED = '<>:"|?*\\';
/** µs; its last digits tell the step. */
const TIME = 1_700_000_001_234_567;

export async function probe(fs: FolderFs, folder: string): Promise<Probed> {
  const works = (work: Promise<unknown>): Promise<boolean> =>
    work.then(
      () => true,
      () => false,
    );
  const names = async (): Promise<readonly string[]> => (await fs.list(folder)).entries.map((e) => e.name);
  /** Whether a file of this name can be made, and is called so. */
  const holds = async (name: string): Promise<boolean> => {
    const before = new Set(await names());
    const made = await works(fs.writeFileNew(`${folder}/${name}`, NOTHING));
    const after = (await names()).filter((one) => !before.has(one));
    for (const one of after) await removeFile(fs, `${folder}/${one}`);
    return made && after[0] === name;
  };

  const at = (name: string): string => `${folder}/${name}`;
  for (const name of await names()) if (name.startsWith("probe")) await removeFile(fs, at(name));
  await fs.writeFileNew(at("probe aB\u00e9"), NOTHING);
  const { mode } = await fs.look(at("probe aB\u00e9"));
  const caseSensitive = !(await works(fs.look(at("probe Ab\u00e9"))));
  const decomposed = !(await names()).includes("probe aB\u00e9");
  const normalisation = decomposed
    ? "decomposed"
    : (await works(fs.look(at("probe aBe\u0301"))))
      ? "insensitive"
      : "kept";
  const file = at((await names()).find((name) => name.startsWith("probe a")) ?? "");
  await works(fs.setTime(file, TIME));
  const stampStep = stepOf((await fs.look(file)).mtimeNs);
  await works(fs.chmod(file, 0o700));
  const executable = ((await fs.look(file)).mode & 0o111) === 0o100;
  const hardLinks = await works(fs.link(file, at("probe link")));
  const symlinks = await works(fs.symlink(new TextEncoder().encode("a"), at("probe symlink")));
  const most = (await holds("p".repeat(255))) ? 255 : 143;
  const unit = most === 255 && (await holds("\u00e9".repeat(255))) ? "utf16" : "byte";
  const refused: string[] = [];
  // Where one is refused all are looked at: on most disks none is.
  if (!(await holds("probe ?")))
    for (const one of REFUSED) if (!(await holds(`probe ${one}`))) refused.push(one);
  const windowsNames = !(await holds("probe."));
  for (const name of await names()) if (name.startsWith("probe")) await removeFile(fs, at(name));
  const can = { hardLinks, symlinks, executable, stampStep, windowsNames };
  const nameLimit = { most, unit } as const;
  return { mode, profile: { caseSensitive, normalisation, nameLimit, refused: refused.join(""), ...can } };
}

/** The largest step that this time of change is a multiple of: ns. */
function stepOf(ns: bigint): bigint {
  for (const step of [2_000_000_000n, 1_000_000_000n, 1_000_000n, 1000n, 100n])
    if (ns % step === 0n) return step;
  return 1n;
}
