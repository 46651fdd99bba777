#!/usr/bin/env node
import { main } from "../dist/main.js";

// Set, not exit(): output still in the pipe must be written.
process.exitCode = await main(process.argv.slice(2));
