import { MapReplicaStore } from "@tidelock/testkit/map-store";
import { createFastSuite } from "@tidelock/testkit/world/fast-suite";
import { afterEach, describe, expect, test } from "vitest";
import { type Device, seeded } from "./testing/device.ts";
import { createWorld, type World } from "./testing/world.ts";
import { writers } from "./testing/writers.ts";

const worlds: World[] = [];
afterEach(() => {
  for (const w of worlds.splice(0)) w.end();
});

function world(devices: number): World {
  const makeStore = (spaces: readonly string[]): MapReplicaStore => new MapReplicaStore(spaces);
  const w = createWorld({ devices, suite: createFastSuite(seeded(9)), makeStore });
  worlds.push(w);
  return w;
}

/** Every value with its storage class and bytes. */
const exact = (d: Device, table: string, columns: readonly string[]): unknown[] =>
  d.rows(
    `SELECT ${columns.map((c) => `typeof(${c}), hex(CAST(${c} AS BLOB)), quote(${c})`).join()} FROM ${table} ORDER BY ${columns[0]}`,
  );

describe.each(writers)("written by $name", ({ run, absent }) => {
  test.skipIf(absent !== undefined)("[ATT12] every value arrives as it was stored", async () => {
    const { devices, settle } = world(2);
    const [a, b] = devices as [Device, Device];
    run(a.path, "CREATE TABLE v(id TEXT PRIMARY KEY, a, b TEXT, c INTEGER, d REAL, e BLOB, f NUMERIC);");
    await a.attach();
    await settle();
    await b.attach();
    run(
      a.path,
      `INSERT INTO v VALUES('null',NULL,NULL,NULL,NULL,NULL,NULL);
       INSERT INTO v VALUES('int',9223372036854775807,'9',-9223372036854775808,1,x'00','1e3');
       INSERT INTO v VALUES('real',1.0,1.5,1.0,9e999,-9e999,0.1);
       INSERT INTO v VALUES('neg',-0.0,'','',-0.0,x'','');
       INSERT INTO v VALUES('text',CAST(x'ff41c0' AS TEXT),'é'||char(0)||'x',CAST(x'c3' AS TEXT),'t','b',char(65533));
       INSERT INTO v VALUES('uni',char(101,769),char(233),char(128512),'x','y','z');
       INSERT INTO v VALUES(CAST(x'80' AS TEXT),1,2,3,4,5,6);`,
    );
    await settle();
    const columns = ["id", "a", "b", "c", "d", "e", "f"];
    expect(exact(b, "v", columns)).toEqual(exact(a, "v", columns));
    expect(exact(a, "v", columns).length).toBe(7);
    // A change of type alone, or of one bit, is a change.
    run(
      a.path,
      "UPDATE v SET a=1 WHERE id='real'; UPDATE v SET b='a' WHERE id='neg'; UPDATE v SET b='A' WHERE id='neg';",
    );
    run(a.path, "DELETE FROM v WHERE id=CAST(x'80' AS TEXT);");
    await settle();
    expect(exact(b, "v", columns)).toEqual(exact(a, "v", columns));
    expect(b.rows("SELECT typeof(a) FROM v WHERE id='real'")).toEqual([["integer"]]);
    expect(b.rows("SELECT count(*) FROM v")).toEqual([[6n]]);
  });

  test.skipIf(absent !== undefined)("[ATT11, ATT24] statements of every kind arrive", async () => {
    const { devices, settle } = world(2);
    const [a, b] = devices as [Device, Device];
    run(
      a.path,
      `CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE);
       CREATE TABLE c(id TEXT PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, n);
       CREATE TABLE l(p INTEGER REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, c TEXT REFERENCES c ON DELETE CASCADE ON UPDATE CASCADE, PRIMARY KEY(p, c)) WITHOUT ROWID;
       INSERT INTO p VALUES(1,'one'),(2,'two'),(3,'three');
       INSERT INTO c VALUES('a',1,1),('b',2,2),('c',3,3); INSERT INTO l VALUES(1,'a'),(2,'b'),(3,'c');`,
    );
    await a.attach();
    await settle();
    await b.attach();
    await settle();
    const check = async (sql: string): Promise<void> => {
      run(a.path, `PRAGMA foreign_keys=ON; ${sql}`);
      await settle();
      expect(`${sql}\n${b.dump()}`).toBe(`${sql}\n${a.dump()}`);
      // What came back is what was there: nothing is written a second time.
      expect(a.rows("SELECT count(*) FROM _tl_out")).toEqual([[0n]]);
    };
    await check("INSERT INTO p VALUES(4,'four'),(5,'five'); UPDATE p SET name=upper(name);");
    await check("INSERT INTO p VALUES(4,'IV') ON CONFLICT(id) DO UPDATE SET name=excluded.name;");
    await check("REPLACE INTO p VALUES(9,'Two');");
    await check("UPDATE p SET rowid=20 WHERE id=1;");
    await check("UPDATE c SET id='aa' WHERE id='a'; UPDATE c SET id='aaa' WHERE id='aa';");
    await check("DELETE FROM p WHERE id=3;");
    await check("UPDATE OR REPLACE p SET id=5 WHERE id=4;");
    await check("UPDATE c SET id=upper(id);");
    await check("BEGIN; UPDATE p SET id=-id; UPDATE p SET id=-id+1; COMMIT;");
    await check(
      "BEGIN; INSERT INTO p VALUES(50,'x'); DELETE FROM p WHERE id=50; DELETE FROM p; INSERT INTO p VALUES(5,'back'); COMMIT;",
    );
    await check("DELETE FROM p;");
    await check("INSERT INTO p(name) VALUES('anew'); INSERT INTO c VALUES('z', last_insert_rowid(), 0);");
  });
});

test("[ATT12] files of another text encoding show the same text", async () => {
  const { devices, settle } = world(2);
  const [a, b] = devices as [Device, Device];
  a.app("PRAGMA encoding='UTF-16le'; CREATE TABLE v(id TEXT PRIMARY KEY, a)");
  b.app("PRAGMA encoding='UTF-8'; CREATE TABLE v(id TEXT PRIMARY KEY, a)");
  await a.attach();
  await settle();
  await b.attach();
  a.app("INSERT INTO v VALUES('é\u{1f600}', char(65533)||'x'), ('b', x'00ff')");
  b.app("INSERT INTO v VALUES('ü', 'from b')");
  await settle();
  expect(b.rows("SELECT * FROM v ORDER BY id")).toEqual(a.rows("SELECT * FROM v ORDER BY id"));
  expect(a.rows("SELECT count(*) FROM v")).toEqual([[3n]]);
});
