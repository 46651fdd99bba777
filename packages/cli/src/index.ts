/** `tidelock`: the SDK for programs. The command line is `bin/tidelock.js`. */
export * from "@tidelock/node";
