import { describe, expect, test } from "vitest";
import { Author, idOf, op } from "../../../../../test/reference/files-kit.ts";
import { encodeUtf8, toHex } from "../../bytes/bytes.ts";
import { createPortableSuite } from "../../crypto/sodium-portable.ts";
import type { Content } from "../../log/content.ts";
import { decodeSection, encodeSection } from "./codec.ts";
import { ROOT } from "./names.ts";
import type { FileChange, FilesSection } from "./types.ts";

const suite = await createPortableSuite();
const author = new Author(0);
const said = (n: number): { op: ReturnType<typeof op>; base: number; time: number } => ({
  op: op(n),
  base: 7 - (n % 3),
  time: 1_700_000_000_000 + n,
});
const hash = new Uint8Array(32).fill(7);
const inline: Content = { size: 5, hash, body: { kind: "inline", bytes: encodeUtf8("hello") } };
const chunks: Content = { size: 300_000, hash, body: { kind: "chunks", addresses: [hash, hash] } };
const manifest: Content = {
  size: 2 ** 33,
  hash,
  body: { kind: "manifest", addresses: [hash], packs: [hash] },
};
const meta = { mtime: 1_700_000_000_000_000, executable: true };
const id = idOf(op(1));

const changes: readonly FileChange[] = [
  { do: "mkdir", ...said(1), parent: ROOT, name: "Ordner" },
  { do: "create", ...said(2), parent: id, name: "a", content: inline, meta },
  { do: "create", ...said(3), parent: id, name: "b", content: chunks, meta },
  { do: "symlink", ...said(4), parent: id, name: "l", target: Uint8Array.of(46, 46, 47, 97) },
  { do: "write", ...said(5), id, rev: op(2), content: manifest, mtime: 0 },
  { do: "move", ...said(6), id, place: op(1), parent: ROOT, name: "x" },
  { do: "delete", ...said(7), id },
  { do: "restore", ...said(8), id, to: undefined },
  { do: "restore", ...said(9), id, to: { parent: ROOT, name: "y" } },
  { do: "meta", ...said(10), id, set: { key: "pin", value: true } },
  { do: "meta", ...said(11), id, set: { key: "tag", name: "colour", value: "red" } },
  { do: "settle", ...said(12), entry: op(5), pick: "use-other", rev: op(2), otherRev: op(5) },
];
const section: FilesSection = { label: "Laptop", approved: true, changes };

describe("the section of a frame", () => {
  test("[FIL2] reads what it wrote", () => {
    expect(decodeSection(encodeSection(section))).toEqual(section);
  });

  test("[FIL2] golden", () => {
    expect(toHex(suite.sha256(encodeSection(section)))).toBe(
      "9b16df8b7bf2b9cc8a5cd9378c8cb685d448dcc508368900296094efd3efd51c",
    );
  });

  test("[FIL2] every beginning, every byte changed and every byte more: refused, or another section with one encoding", () => {
    const bytes = encodeSection(section);
    for (let n = 0; n < bytes.length; n++) expect(decodeSection(bytes.subarray(0, n))).toBeNull();
    expect(decodeSection(Uint8Array.of(...bytes, 0))).toBeNull();
    for (let at = 0; at < bytes.length; at++)
      for (const flip of [1, 0x80, 0xff]) {
        const other = bytes.slice();
        other[at] = (other[at] as number) ^ flip;
        const read = decodeSection(other);
        if (read !== null) expect(toHex(encodeSection(read))).toBe(toHex(other));
      }
  });

  test("[FIL2] counts and sizes are bounded before anything is made of them", () => {
    const empty = encodeSection({ label: "", approved: false, changes: [author.mkdir("a")] });
    const many = empty.slice(0, 10);
    expect(decodeSection(Uint8Array.of(...many, 0xff, 0xff, 0xff, 0x7f))).toBeNull();
    const none = empty.slice(0, 11);
    none[10] = 0;
    expect(decodeSection(none)).toBeNull();
    const huge: Content = { size: 20_000, hash, body: { kind: "inline", bytes: new Uint8Array(20_000) } };
    const create: FileChange = { do: "create", ...said(1), parent: ROOT, name: "a", content: huge, meta };
    expect(decodeSection(encodeSection({ label: "", approved: false, changes: [create] }))).toBeNull();
  });
});
