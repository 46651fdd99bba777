/**
 * The layout of the embedded database, one numbered step after another. A step that was released is
 * never changed; between two releases steps only add, so that the older program still runs beside.
 * `vault_n` and the like are this file's own numbers; ids are their 32 bytes.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE vaults (
    n INTEGER PRIMARY KEY,
    vault BLOB NOT NULL UNIQUE,
    genesis BLOB NOT NULL,
    owner BLOB NOT NULL,
    created INTEGER NOT NULL,
    head_seq INTEGER NOT NULL,
    head_hash BLOB NOT NULL,
    head_members BLOB NOT NULL,
    head_time INTEGER NOT NULL,
    log_bytes INTEGER NOT NULL,
    blob_bytes INTEGER NOT NULL
  );
  CREATE TABLE log (
    vault_n INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL,
    device BLOB NOT NULL,
    device_seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    membership INTEGER NOT NULL,
    frame BLOB NOT NULL
  );
  CREATE UNIQUE INDEX log_by_seq ON log (vault_n, seq);
  CREATE UNIQUE INDEX log_by_device ON log (vault_n, device, device_seq);
  CREATE INDEX log_of_members ON log (vault_n, seq) WHERE membership = 1;
  CREATE TABLE members (
    vault_n INTEGER NOT NULL,
    person BLOB NOT NULL,
    level TEXT NOT NULL,
    since INTEGER NOT NULL,
    ended INTEGER,
    PRIMARY KEY (vault_n, person)
  ) WITHOUT ROWID;
  CREATE INDEX members_by_person ON members (person, vault_n);
  CREATE TABLE devices (
    vault_n INTEGER NOT NULL,
    device BLOB NOT NULL,
    person BLOB NOT NULL,
    sign_key BLOB NOT NULL,
    device_index INTEGER NOT NULL,
    since INTEGER NOT NULL,
    ended INTEGER,
    last_seq INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (vault_n, device)
  ) WITHOUT ROWID;
  CREATE TABLE audit (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    vault_n INTEGER NOT NULL,
    time INTEGER NOT NULL,
    device BLOB NOT NULL,
    action TEXT NOT NULL,
    object BLOB
  );
  CREATE INDEX audit_by_vault ON audit (vault_n, n);
  CREATE INDEX audit_by_time ON audit (time);
  CREATE TABLE blobs (
    vault_n INTEGER NOT NULL,
    id BLOB NOT NULL,
    size INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (vault_n, id)
  ) WITHOUT ROWID;
  CREATE TABLE notes (
    vault_n INTEGER NOT NULL,
    device BLOB NOT NULL,
    time INTEGER NOT NULL,
    note BLOB NOT NULL,
    PRIMARY KEY (vault_n, device)
  ) WITHOUT ROWID;
  CREATE TABLE rendezvous (
    id BLOB PRIMARY KEY,
    device BLOB NOT NULL,
    until INTEGER NOT NULL,
    slot1 BLOB,
    slot2 BLOB
  );
  CREATE INDEX rendezvous_by_until ON rendezvous (until);
  CREATE TABLE challenges (
    challenge BLOB PRIMARY KEY,
    device BLOB NOT NULL,
    until INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX challenges_by_until ON challenges (until);
  CREATE TABLE persons (
    person BLOB PRIMARY KEY,
    sign_key BLOB NOT NULL,
    box_key BLOB NOT NULL,
    created INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE account_devices (
    device BLOB PRIMARY KEY,
    person BLOB NOT NULL,
    sign_key BLOB NOT NULL,
    added INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    revoked INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX account_devices_by_person ON account_devices (person);
  CREATE TABLE registrations (
    hash BLOB PRIMARY KEY,
    uses INTEGER NOT NULL,
    until INTEGER NOT NULL
  ) WITHOUT ROWID;
  `,
  // Deletion, accounts that close, what an operator says, and from where things were done.
  `
  ALTER TABLE vaults ADD COLUMN deleted_at INTEGER;
  ALTER TABLE vaults ADD COLUMN deleted_by TEXT;
  UPDATE vaults SET owner = coalesce(
    (SELECT person FROM members WHERE vault_n = n AND level = 'owner' AND ended IS NULL), owner);
  CREATE INDEX vaults_by_owner ON vaults (owner);
  CREATE INDEX vaults_by_deletion ON vaults (deleted_at) WHERE deleted_at IS NOT NULL;
  ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT 'unknown';
  CREATE TABLE spared (
    vault_n INTEGER NOT NULL,
    person BLOB NOT NULL,
    since INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (vault_n, person)
  ) WITHOUT ROWID;
  ALTER TABLE persons ADD COLUMN closed INTEGER;
  CREATE INDEX persons_by_closing ON persons (closed) WHERE closed IS NOT NULL;
  CREATE TABLE entitlements (
    subject BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    plans TEXT NOT NULL,
    seats INTEGER,
    quota_bytes INTEGER,
    state TEXT NOT NULL,
    until INTEGER
  ) WITHOUT ROWID;
  CREATE TABLE edges (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    UNIQUE (group_id, kind, id)
  );
  CREATE INDEX edges_by_id ON edges (kind, id);
  `,
  // Blobs that the log gave up, which can be taken back for a while.
  `
  ALTER TABLE blobs ADD COLUMN aside INTEGER;
  CREATE INDEX blobs_aside ON blobs (aside) WHERE aside IS NOT NULL;
  `,
];
