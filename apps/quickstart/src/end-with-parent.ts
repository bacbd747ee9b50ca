// Loaded into the gateway before its own code: should the quickstart be killed, the gateway must not keep its port for ever.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

export {};
