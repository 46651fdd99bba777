/**
 * One Evolu device in its own process, told what to do by run.mjs. Times are process.hrtime, which
 * processes of one machine share.
 *
 *   node device.mjs URL "MNEMONIC"     (its files are in the working directory)
 */
import { common, createDevice, localFirst, used } from "./platform.mjs";

const { AppName, createAppOwner, createConsole, createOwnerWebSocketTransport, createQueryBuilder } = common;
const [url, mnemonic] = process.argv.slice(2);
const schema = {
  row: {
    id: common.id("Row"),
    a: common.String,
    b: common.String,
    c: common.String,
    n: common.FiniteNumber,
    r: common.FiniteNumber,
  },
};
const createQuery = createQueryBuilder(schema);
const countQuery = createQuery((db) => db.selectFrom("row").select((eb) => eb.fn.countAll().as("rows")));
const allQuery = createQuery((db) => db.selectFrom("row").select(["a", "b", "c", "n", "r"]).orderBy("n"));

const now = () => Number(process.hrtime.bigint()) / 1e6;
const { deps, run } = await createDevice(createConsole({ level: "error" }));
let evolu;
const ids = [];

/** Until `pick` of this query's rows is true, as a view of an app would see it. */
function seen(query, pick) {
  return new Promise((resolve) => {
    const check = () => {
      if (!pick(evolu.getQueryRows(query))) return;
      const at = now();
      stop();
      resolve(at);
    };
    const stop = evolu.subscribeQuery(query)(check);
    evolu.loadQuery(query);
  });
}

/** The next moment Evolu calls this owner synced: everything sent, answered and compared. */
function synced() {
  return new Promise((resolve) => {
    const stop = deps.syncState.subscribe(() => {
      const [owner] = localFirst.syncStateToOwnerSyncStates(
        deps.syncState.get() ?? { transports: [], tenants: [] },
      );
      if (owner?.status !== "synced") return;
      const at = now();
      stop();
      resolve(at);
    });
  });
}

const commands = {
  async open({ expect }) {
    const owner = createAppOwner(common.mnemonicToOwnerSecret(mnemonic));
    const start = now();
    evolu = await run.ok(
      common.createEvolu(schema, {
        appName: AppName.orThrow("bench"),
        appOwner: owner,
        transports: [createOwnerWebSocketTransport({ url, ownerId: owner.id })],
      }),
    );
    if (expect === undefined) return { start, at: await synced() };
    return { start, at: await seen(countQuery, (rows) => rows[0]?.rows === expect) };
  },
  /** All of them at once, or `each` to a mutation; `stored`: in the device's own file. */
  async insert({ rows, each }) {
    const start = now();
    for (let i = 0; i < rows.length; i += each) {
      await new Promise((stored) => {
        const part = rows.slice(i, i + each);
        part.forEach((row, j) => {
          const options = j === part.length - 1 ? { onComplete: stored } : undefined;
          ids.push(evolu.insert("row", row, options).id);
        });
      });
    }
    return { start, stored: now(), at: await synced() };
  },
  synced: async () => ({ at: await synced() }),
  id: async ({ i }) => ({ id: ids[i] }),
  async update({ id, a }) {
    const start = now();
    evolu.update("row", { id, a });
    return { start };
  },
  watch: async ({ id, a }) => ({
    at: await seen(
      createQuery((db) => db.selectFrom("row").select("a").where("id", "=", id)),
      (rows) => rows[0]?.a === a,
    ),
  }),
  rows: async () => ({ rows: await evolu.loadQuery(allQuery) }),
  used: async () => used(),
};

const answer = async ({ call, name, input }) => {
  process.send({ call, result: await commands[name](input) });
};
process.on("message", (message) => void answer(message));
process.on("disconnect", () => process.exit(0));
process.send({ ready: true });
