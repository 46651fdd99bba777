/** Work that a person or the system ends by a signal: a daemon, a server. */
export async function untilStopped(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const end = new AbortController();
  const stop = (): void => end.abort();
  // Once: who asks a second time does not want to wait.
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    await work(end.signal);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
