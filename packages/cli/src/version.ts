/** All packages have one version: the one in `package.json`, held by a test. */
export const version = "0.1.0";
