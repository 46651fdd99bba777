import { posix } from "node:path";

export interface Import {
  readonly from: string; // the importing file, "packages/core/src/log/frame.ts"
  readonly to: string; // the specifier as written
}

/** Which of our packages each package's shipped source may import. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "packages/core": [],
  "packages/node": ["@tidelock/core", "@tidelock/remotes"],
  "packages/remotes": ["@tidelock/core"],
  "packages/server": ["@tidelock/core"],
  "packages/testkit": ["@tidelock/core", "@tidelock/remotes", "@tidelock/server"],
  "packages/cli": ["@tidelock/core", "@tidelock/node", "@tidelock/server"],
};

/** Core's layers, lowest first: a file imports its own layer and those before it. */
const layers: readonly string[] = ["bytes", "crypto", "log", "kinds", "vault", "engine", "adapters"];

const statement =
  /(?:^|\n)\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;

export function importsOf(from: string, source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "");
  return [...code.matchAll(statement)].map((match) => ({ from, to: match[1] ?? match[2] ?? "" }));
}

/** What opens content, or means something by it: whoever holds a log for others has no use for it. */
const opening =
  /^@tidelock\/core\/(?:kinds|engine|adapters)\/|^@tidelock\/core\/log\/(?:chunk|pack|plaintext)$/;

/** Why this import may not stand, or undefined. Test files reach wherever a test needs. */
export function violation({ from, to }: Import): string | undefined {
  if (/\.(test|bench)\.ts$/.test(from)) return undefined;
  const home = from.split("/").slice(0, 2).join("/");
  const mayUse = allowed[home];
  if (mayUse === undefined) return "a package without a place in the layers";
  if (!to.startsWith(".")) {
    const ours = /^(@tidelock\/[^/]+|tidelock)(\/|$)/.exec(to)?.[1];
    if (ours !== undefined && !mayUse.includes(ours)) return `${home} does not import ${ours}`;
    if (home === "packages/server" && opening.test(to)) return "a server opens nothing";
    return home === "packages/core" && to.startsWith("node:") ? "core knows no host" : undefined;
  }
  const target = posix.join(posix.dirname(from), to);
  if (!target.startsWith(`${home}/src/`)) return "a relative import leaves its package";
  return home === "packages/core" ? coreViolation(inCore(from), inCore(target)) : undefined;
}

function inCore(path: string): readonly string[] {
  return path.slice("packages/core/src/".length).split("/");
}

function coreViolation(from: readonly string[], to: readonly string[]): string | undefined {
  const shared = (path: readonly string[]): boolean => path[0] === "errors.ts" || path[0] === "ports.ts";
  if (from[0] === "index.ts" || shared(to)) return undefined;
  if (shared(from)) return to[0] === "bytes" ? undefined : "errors and ports import only bytes";
  const [mine, theirs] = [layers.indexOf(from[0] ?? ""), layers.indexOf(to[0] ?? "")];
  if (mine < 0 || theirs < 0) return "a file outside the layers";
  if (theirs > mine) return `${from[0]} is below ${to[0]}`;
  if (from[0] === "kinds" && to[0] === "kinds" && from[1] !== to[1]) return "kinds are siblings";
  return undefined;
}

const impure =
  /\bDate\s*\(|\bDate\.(?:now|parse)\b|\bMath\.random\b|\bIntl\.|\.localeCompare\b|\.toLocale\w+|\bperformance\.now\b/g;

/** Calls whose answer depends on the moment, the dice or the host's language. Replay must not see them. */
export function impurities(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
  return [...code.matchAll(impure)].map((match) => match[0]);
}

const spoken = /\bconsole\.\w+|\bprocess\.(?:stdout|stderr)\b/g;

/** Words past the one door for them: a log takes codes and numbers, a terminal is the command line's. */
export function outbursts(path: string, source: string): string[] {
  if (path === "packages/cli/src/main.ts" || /^packages\/testkit\/|\.(test|bench)\.ts$/.test(path)) return [];
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
  return [...code.matchAll(spoken)].map((match) => `${path}: ${match[0]}`);
}
