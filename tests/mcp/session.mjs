// SPDX-License-Identifier: Apache-2.0
// A whole session by the official TypeScript SDK: session.mjs v1|v2|http ARGS...
//	v1 COMMAND ARGS...	the legacy client (@modelcontextprotocol/sdk) over stdio
//	v2 COMMAND ARGS...	the modern one (@modelcontextprotocol/client) over stdio
//	http URL TOKEN		the modern one over Streamable HTTP
// Ends with 0 when everything was as it must be; else says what was not.
import assert from "node:assert/strict";

const [how, ...rest] = process.argv.slice(2);
const modern = how !== "v1";

async function connect() {
	const info = { name: "session", version: "1" };
	if (!modern) {
		const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
		const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
		const client = new Client(info, { capabilities: {} });
		await client.connect(new StdioClientTransport({ command: rest[0], args: rest.slice(1), env: process.env }));
		return client;
	}
	const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
	const client = new Client(info, { capabilities: {}, versionNegotiation: { mode: "auto" } });
	if (how === "http") {
		const headers = { Authorization: `Bearer ${rest[1]}` };
		await client.connect(new StreamableHTTPClientTransport(new URL(rest[0]), { requestInit: { headers } }));
	} else {
		const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
		await client.connect(new StdioClientTransport({ command: rest[0], args: rest.slice(1), env: process.env }));
	}
	return client;
}

function call(client, name, args, options) {
	const params = { name, arguments: args };
	return modern ? client.callTool(params, options) : client.callTool(params, undefined, options);
}

const text = (result) => result.content[0].text;

const client = await connect();
if (modern)
	assert.equal(client.getNegotiatedProtocolVersion(), "2026-07-28");
const { tools } = await client.listTools();
for (const name of ["bash", "apply_patch", "str_replace_based_edit_tool", "undo"])
	assert(tools.some((t) => t.name === name), `no tool ${name}`);

let r = await call(client, "bash", { command: "mkdir src; cd src; export GREETING=hello" });
assert(!r.isError, text(r));
r = await call(client, "bash", { command: "pwd; echo $GREETING; exit 4" });
assert(r.isError && text(r).includes("/src\nhello\n[exit 4"), text(r));
assert.equal(r.structuredContent.exit_code, 4);

r = await call(client, "str_replace_based_edit_tool", { command: "create", path: "src/a.py", file_text: "print(6 * 8)\n" });
assert(!r.isError, text(r));
r = await call(client, "apply_patch", {
	input: "*** Begin Patch\n*** Update File: src/a.py\n@@\n-print(6 * 8)\n+print(6 * 7)\n*** End Patch",
});
assert(!r.isError, text(r));
const patched = r.structuredContent.call_id;
r = await call(client, "exec", { argv: ["python3", "src/a.py"] });
assert(text(r).startsWith("42\n"), text(r));

r = await call(client, "list_changes", { diff: true });
assert(text(r).includes("+print(6 * 7)"), text(r));
r = await call(client, "undo", { call_id: patched });
assert(!r.isError, text(r));
r = await call(client, "read_file", { path: "src/a.py" });
assert(text(r).includes("6 * 8"), text(r));

r = await call(client, "bash", { command: "cat /etc/shadow" });
assert(r.isError && text(r).includes("[denied by the sandbox: "), text(r));

const seen = [];
const abort = new AbortController();
const long = call(client, "bash", { command: "echo begun; read x < <(sleep 1000)" },
	{ signal: abort.signal, onprogress: (p) => { seen.push(p.message); if (p.message === "begun") abort.abort("enough"); } });
await assert.rejects(long);
assert(seen.includes("running") || seen.includes("begun"), seen.join());

const { resources } = await client.listResources();
const diff = resources.find((x) => x.uri.endsWith("/diff"));
const read = await client.readResource({ uri: diff.uri });
assert(read.contents[0].text.includes("+print(6 * 8)"));
await client.close();
console.log(`ok: ${tools.length} tools, ${seen.length} notes of progress`);
