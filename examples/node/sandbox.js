// A server for the tests: a process on a free port, which says in its first line where it listens.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import OpenAI from "openai";

export async function startSandbox(...flags) {
  const server = spawn("mockserver", ["serve", "--port", "0", "--progression", "polls:2", ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await Promise.race([
    once(createInterface(server.stdout), "line"),
    once(server, "exit").then(([code]) => {
      throw new Error(`mockserver ended with exit code ${code}`);
    }),
  ]);
  const url = line.split(" ").at(-1);
  return {
    url,
    /** A client with a key of its own, and so a world of its own. */
    client: (key, options = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, ...options }),
    /** A call of the admin API, about the world of that key. */
    async admin(key, method, path, body) {
      const answer = await fetch(`${url}/__admin${path}`, {
        method,
        headers: { Authorization: `Bearer ${key}` },
        body: body && JSON.stringify(body),
      });
      if (!answer.ok) throw new Error(await answer.text());
      return answer.json();
    },
    async stop() {
      server.kill();
      if (server.exitCode === null) await once(server, "exit");
    },
  };
}
