/**
 * Loaded into a process before anything else: a disk that stops answering, and time that passes.
 * While the file `stuck` lies in TIDELOCK_TEST_FAULTS, every call on a path below `folder` waits in
 * the system for ever, as on a file server that is gone: for a pipe that nobody opens for writing.
 * While `later` lies there, the clock is a minute on.
 */
const fs = require("node:fs");
const { join } = require("node:path");
const { syncBuiltinESMExports } = require("node:module");

const faults = process.env.TIDELOCK_TEST_FAULTS;
const folder = process.env.TIDELOCK_TEST_FOLDER;
const has = (name) => fs.existsSync(join(faults, name));
const pipe = join(faults, "pipe");
const hangs = (path) => typeof path === "string" && path.startsWith(folder) && has("stuck");

const { open } = fs;
const openPromise = fs.promises.open;
fs.open = (path, ...rest) => {
  if (hangs(path)) open(pipe, "r", rest.at(-1));
  else open(path, ...rest);
};
for (const name of ["lstat", "readdir", "link", "mkdir"]) {
  const real = fs.promises[name];
  fs.promises[name] = async (path, ...rest) => {
    if (hangs(path)) await openPromise(pipe, "r");
    return real(path, ...rest);
  };
}
syncBuiltinESMExports();

const now = performance.now.bind(performance);
performance.now = () => now() + (has("later") ? 60_000 : 0);
