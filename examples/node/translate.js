// A program on the npm SDK: it has many sentences translated in one batch.
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI, { toFile } from "openai";

const ENDPOINT = "/v1/chat/completions";
const ENDED = new Set(["completed", "failed", "expired", "cancelled"]);

/** The translations by name, and the errors of those that have none. */
export async function translate(sentences, { client = new OpenAI(), wait = 30_000 } = {}) {
  const lines = Object.entries(sentences).map(([name, sentence]) => JSON.stringify(request(name, sentence)));
  const file = await client.files.create({
    file: await toFile(Buffer.from(lines.join("\n")), "sentences.jsonl"),
    purpose: "batch",
  });
  let batch = await client.batches.create({ input_file_id: file.id, endpoint: ENDPOINT, completion_window: "24h" });
  while (!ENDED.has(batch.status)) {
    await sleep(wait);
    batch = await client.batches.retrieve(batch.id);
  }
  if (batch.status === "failed") throw new Error(batch.errors.data.map((each) => each.message).join("; "));
  return collected(client, [batch.output_file_id, batch.error_file_id]);
}

function request(name, sentence) {
  const messages = [{ role: "user", content: `Say in French: ${sentence}` }];
  return { custom_id: name, method: "POST", url: ENDPOINT, body: { model: "gpt-4o-mini", messages } };
}

async function collected(client, fileIds) {
  const found = { translations: {}, errors: {} };
  for (const id of fileIds.filter(Boolean)) {
    const text = await (await client.files.content(id)).text();
    for (const line of text.trim().split("\n").map((each) => JSON.parse(each))) {
      const { response, custom_id: name } = line;
      if (response?.status_code === 200) found.translations[name] = response.body.choices[0].message.content;
      else found.errors[name] = (response?.body.error ?? line.error).message;
    }
  }
  return found;
}
