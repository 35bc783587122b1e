// The TypeScript SDK's own client: signs in through a loopback redirect, and prints the names of the tools.
const http = require("node:http");
const {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} = require("@modelcontextprotocol/client");

const [address, port] = process.argv.slice(2);
const redirectUrl = `http://127.0.0.1:${port}/callback`;
const kept = {};
let came;
const redirected = new Promise((resolve) => (came = resolve));
const server = http.createServer((request, response) => {
  response.end("Connected");
  came(new URL(request.url, redirectUrl).searchParams);
});

const provider = {
  redirectUrl,
  clientMetadata: { client_name: "The TypeScript SDK", redirect_uris: [redirectUrl] },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  saveDiscoveryState: (state) => void (kept.discovery = state),
  discoveryState: () => kept.discovery,
  redirectToAuthorization: (url) => console.log(String(url)),
};

async function connected() {
  const transport = new StreamableHTTPClientTransport(new URL(address), { authProvider: provider });
  const client = new Client({ name: "typescript", version: "1" });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(await redirected);
    return connected();
  }
}

server.listen(Number(port), "127.0.0.1", async () => {
  const client = await connected();
  const { tools } = await client.listTools();
  console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), scope: kept.tokens.scope }));
  process.exit(0);
});
