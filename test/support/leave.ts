/**
 * Ends the process of a test run when nothing is left to do. Left to itself, Node closes what the process held, and there
 * it can spin for ever over TLS connections that were reset from below, which is what the fault proxy does.
 */
process.once('beforeExit', () => process.exit());
