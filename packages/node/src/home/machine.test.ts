import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodePlacement, isCopied, parsePlacement, placementOf } from "./machine.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidelock-machine-"));
  for (const name of ["lock", "replica"]) writeFileSync(join(folder, name), name);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const here = (lock = "lock", replica = "replica", machine = "one") =>
  placementOf(join(folder, lock), join(folder, replica), machine);

test("[IFC5] files that are copies, or another machine, are a copied home", () => {
  const then = parsePlacement(encodePlacement(here()));
  expect(then).toEqual(here());
  expect(isCopied(then, here())).toBe(false);
  for (const name of ["lock", "replica"]) copyFileSync(join(folder, name), join(folder, `${name}2`));
  expect(isCopied(then, here("lock2", "replica2"))).toBe(true);
  expect(isCopied(then, here("lock", "replica", "two"))).toBe(true);
});

test("[IFC5] one of the two files made anew is no copy: a cleaned folder, a repaired file", () => {
  const then = here();
  for (const name of ["lock", "replica"]) copyFileSync(join(folder, name), join(folder, `${name}2`));
  expect(isCopied(then, here("lock2", "replica"))).toBe(false);
  expect(isCopied(then, here("lock", "replica2"))).toBe(false);
});

test("[IFC16] the machine's own id is not in what is kept", () => {
  expect(Buffer.from(encodePlacement(here("lock", "replica", "secret-id"))).includes("secret-id")).toBe(
    false,
  );
});
