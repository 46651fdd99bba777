import { expect, test } from "vitest";
import { assertNone, filesUnder, read } from "./repo.ts";

interface Manifest {
  readonly name: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
}

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifests = ["package.json", ...filesUnder("packages", /^packages\/[^/]+\/package\.json$/)].map(
  (path) => ({
    path,
    manifest: JSON.parse(read(path)) as Manifest,
  }),
);
const lock = (JSON.parse(read("package-lock.json")) as { packages: Record<string, Locked> }).packages;
const fromRegistry = Object.entries(lock).filter(
  ([path, one]) => path.includes("node_modules/") && !one.link,
);

test("every locked package is from the registry and has its hash", () => {
  expect(fromRegistry.length).toBeGreaterThan(50);
  assertNone(
    "lock file",
    fromRegistry.flatMap(([path, { integrity, resolved }]) => [
      ...(integrity?.startsWith("sha512-") ? [] : [`${path}: no sha512`]),
      ...(resolved === undefined || resolved.startsWith("https://registry.npmjs.org/")
        ? []
        : [`${path}: ${resolved}`]),
    ]),
  );
});

test("our manifests pin exact versions", () => {
  expect(manifests.length).toBeGreaterThan(4);
  assertNone(
    "not exact",
    manifests.flatMap(({ path, manifest }) =>
      [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies]
        .flatMap((set) => Object.entries(set ?? {}))
        .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
        .map(([name, version]) => `${path}: ${name} ${version}`),
    ),
  );
});

test("one version of each dependency in all our manifests", () => {
  const versionsByName = new Map<string, Set<string>>();
  for (const { manifest } of manifests) {
    for (const set of [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies]) {
      for (const [name, version] of Object.entries(set ?? {})) {
        versionsByName.set(name, (versionsByName.get(name) ?? new Set()).add(version));
      }
    }
  }
  assertNone(
    "several versions",
    [...versionsByName]
      .filter(([, all]) => all.size > 1)
      .map(([name, all]) => `${name}: ${[...all].join(", ")}`),
  );
});

test("only listed packages run an install script, and none of ours", () => {
  const listed = Object.keys(manifests[0]?.manifest.allowScripts ?? {});
  // A `false` there is a decision too: that script was looked at and is not run.
  const withScript = new Set(
    fromRegistry
      .filter(([, one]) => one.hasInstallScript)
      .map(([path]) => path.split("node_modules/").at(-1) ?? path),
  );
  assertNone(
    "install scripts not on the list",
    [...withScript].filter((name) => !listed.includes(name)),
  );
  const hooks = ["preinstall", "install", "postinstall", "prepublish", "prepare"];
  assertNone(
    "install scripts of ours",
    manifests.flatMap(({ path, manifest }) =>
      hooks
        // The root's `prepare` builds a checkout; it is private and never published.
        .filter(
          (hook) =>
            manifest.scripts?.[hook] !== undefined && !(path === "package.json" && hook === "prepare"),
        )
        .map((hook) => `${path}: ${hook}`),
    ),
  );
});

test("the core needs at most 3 packages, 6 with theirs", () => {
  const core = lock["packages/core"];
  const reached = new Set<string>();
  const visit = (one: Locked | undefined): void => {
    for (const name of Object.keys({ ...one?.dependencies, ...one?.optionalDependencies })) {
      if (!reached.has(name)) {
        reached.add(name);
        expect(lock[`node_modules/${name}`], name).toBeDefined();
        visit(lock[`node_modules/${name}`]);
      }
    }
  };
  visit(core);
  expect(Object.keys(core?.dependencies ?? {}).length).toBeLessThanOrEqual(3);
  expect(reached.size, [...reached].join(", ")).toBeLessThanOrEqual(6);
  expect(reached.size).toBeGreaterThan(0);
});
