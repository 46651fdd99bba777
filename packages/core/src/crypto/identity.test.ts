import { beforeAll, expect, test } from "vitest";
import { deviceId, deviceKeys, drawDeviceSeeds, personId, personKeys, wipeKeys } from "./identity.ts";
import { createPortableSuite } from "./sodium-portable.ts";
import type { Suite } from "./suite.ts";

let suite: Suite;
beforeAll(async () => {
  suite = await createPortableSuite();
});

test("[CRY12] a person is its entropy: same words, same keys; other words, no key alike", () => {
  const entropy = suite.random(32);
  const [a, b] = [personKeys(suite, entropy), personKeys(suite, entropy.slice())];
  expect(a).toEqual(b);
  const other = personKeys(suite, suite.random(32));
  expect(other.sign).not.toEqual(a.sign);
  expect(other.box).not.toEqual(a.box);
  expect(personId(suite, a.sign, a.box)).not.toEqual(personId(suite, other.sign, other.box));
  // The two pairs come from two seeds, and neither seed is the entropy.
  expect(a.signSecret.subarray(0, 32)).not.toEqual(entropy);
  expect(a.signSecret).not.toEqual(deviceKeys(suite, { sign: entropy, box: entropy }).signSecret);
});

test("[CRY13] a device is its two seeds, drawn anew each time", () => {
  const [seeds, others] = [drawDeviceSeeds(suite), drawDeviceSeeds(suite)];
  expect(seeds).not.toEqual(others);
  expect(seeds.sign).not.toEqual(seeds.box);
  const keys = deviceKeys(suite, seeds);
  expect(deviceKeys(suite, seeds)).toEqual(keys);
  expect(suite.validSignKey(keys.sign) && suite.validBoxKey(keys.box)).toBe(true);
  const message = Uint8Array.of(1);
  expect(suite.verify(suite.sign(message, keys.signSecret), message, keys.sign)).toBe(true);
  const pair = { publicKey: keys.box, secretKey: keys.boxSecret };
  expect(suite.openSealed(pair, suite.sealTo(keys.box, message))).toEqual(message);
});

test("[CRY12, CRY13] the same keys are another id as a person than as a device", () => {
  const { sign, box } = deviceKeys(suite, drawDeviceSeeds(suite));
  expect(personId(suite, sign, box)).not.toEqual(deviceId(suite, sign, box));
  expect(deviceId(suite, sign, box)).not.toEqual(deviceId(suite, box, sign));
});

test("[CRY10] wiping keys leaves the public halves", () => {
  const keys = deviceKeys(suite, drawDeviceSeeds(suite));
  const sign = keys.sign.slice();
  wipeKeys(suite, keys);
  expect(keys.signSecret).toEqual(new Uint8Array(64));
  expect(keys.boxSecret).toEqual(new Uint8Array(32));
  expect(keys.sign).toEqual(sign);
});

test("[CRY2] entropy of another length is a RangeError", () => {
  expect(() => personKeys(suite, new Uint8Array(16))).toThrow(RangeError);
});
