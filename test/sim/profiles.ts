/** What the world cannot know from inside the test kit: hosts of other packages, and the references. */
import type { Options } from "@tidelock/testkit/world/history";

export const worldOptions: Options = {};
