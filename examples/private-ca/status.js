// Asks rungate how a run stands, from Node.js 18 or newer. What believes the authority is Node.js itself:
//
//   NODE_EXTRA_CA_CERTS=ca.crt node status.js https://rungate.example.com ci default/hello
//
// The password is in RUNGATE_PASSWORD.
const [url, username, run] = process.argv.slice(2);
const credentials = Buffer.from(`${username}:${process.env.RUNGATE_PASSWORD}`).toString('base64');
try {
  const answer = await fetch(new URL(`status/${run}`, `${url}/`), {
    headers: { Authorization: `Basic ${credentials}` },
  });
  console.log(await answer.text());
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  // What fetch says is "fetch failed"; why is in its cause.
  console.error(`rungate cannot be asked: ${error.cause?.message ?? error.message}`);
  process.exitCode = 3;
}
