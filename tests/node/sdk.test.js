// The npm openai SDK goes through the whole loop; tests/web/test_node_sdk.py starts the server and says where it is.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { toFile } from "openai";

const ENDPOINT = "/v1/chat/completions";
const MODEL = "gpt-4o-mini";
const RIVER = [{ role: "user", content: "Name a river in Spain." }];
const MOST_POLLS = 10;

// Each key opens a sandbox of its own, so no test sees what another one made. OPENAI_BASE_URL is read by the SDK itself.
const client = (apiKey) => new OpenAI({ apiKey, maxRetries: 0 });

const line = (custom_id, more = {}) =>
  JSON.stringify({ custom_id, method: "POST", url: ENDPOINT, body: { model: MODEL, messages: RIVER, ...more } });

const upload = async (ai, lines, name = "rivers.jsonl") =>
  ai.files.create({ file: await toFile(Buffer.from(lines.join("\n")), name), purpose: "batch" });

const start = (ai, file, more = {}) =>
  ai.batches.create({ input_file_id: file.id, endpoint: ENDPOINT, completion_window: "24h", ...more });

async function polled(ai, id) {
  for (let n = 0; n < MOST_POLLS; n++) {
    const batch = await ai.batches.retrieve(id);
    if (!["validating", "in_progress", "finalizing"].includes(batch.status)) return batch;
  }
  assert.fail(`after ${MOST_POLLS} polls, ${id} is still not at its end`);
}

async function read(ai, fileId) {
  const content = await (await ai.files.content(fileId)).text();
  return content.trimEnd().split("\n").map((each) => JSON.parse(each));
}

async function collect(page) {
  const found = [];
  for await (const each of page) found.push(each.id);
  return found;
}

test("a batch is uploaded, started, polled and downloaded", async () => {
  const ai = client("dai_sk_loop");
  const ids = ["spain", "france", "italy"];

  const file = await upload(ai, ids.map((id) => line(id)));
  const begun = await start(ai, file, { metadata: { project: "atlas" } });
  const ended = await polled(ai, begun.id);
  const answers = await read(ai, ended.output_file_id);

  assert.equal(begun.status, "validating");
  assert.equal(ended.status, "completed");
  assert.deepEqual(ended.metadata, { project: "atlas" });
  assert.deepEqual(ended.request_counts, { total: 3, completed: 3, failed: 0 });
  assert.equal(ended.error_file_id, null);
  assert.deepEqual(answers.map((each) => each.custom_id).sort(), [...ids].sort());
  assert.ok(answers.every((each) => each.response.status_code === 200 && each.error === null));
  assert.ok(answers.every((each) => each.response.body.choices[0].message.content));
});

test("a line that goes wrong comes back in the error file", async () => {
  const ai = client("dai_sk_errors");

  const file = await upload(ai, [line("good"), line("bad", { prompt_slug: "no-such-prompt" })]);
  const ended = await polled(ai, (await start(ai, file)).id);
  const [answers, errors] = [await read(ai, ended.output_file_id), await read(ai, ended.error_file_id)];

  assert.deepEqual(ended.request_counts, { total: 2, completed: 1, failed: 1 });
  assert.deepEqual(answers.map((each) => each.custom_id), ["good"]);
  assert.deepEqual(errors.map((each) => each.custom_id), ["bad"]);
  assert.equal(errors[0].response.body.error.code, "prompt_not_found");
});

test("a file with a bad line fails the batch, and the line is named", async () => {
  const ai = client("dai_sk_bad_line");

  const file = await upload(ai, [line("good"), "{not JSON"]);
  const ended = await polled(ai, (await start(ai, file)).id);

  assert.equal(ended.status, "failed");
  assert.deepEqual(ended.errors.data.map((each) => each.line), [2]);
  assert.equal(ended.output_file_id, null);
});

test("a batch that runs is cancelled, and may be cancelled again", async () => {
  const ai = client("dai_sk_cancel");
  const begun = await start(ai, await upload(ai, [line("one")]));

  const cancelled = await ai.batches.cancel(begun.id);
  const again = await ai.batches.cancel(begun.id);

  assert.equal(cancelled.status, "cancelled");
  assert.deepEqual(again, cancelled);
});

test("lists go on by themselves to the next page", async () => {
  const ai = client("dai_sk_pages");
  const files = [];
  for (let n = 0; n < 5; n++) files.push(await upload(ai, [line(`line ${n}`)]));
  const batches = [];
  for (const file of files) batches.push(await start(ai, file));

  const first = await ai.batches.list({ limit: 2 });

  assert.equal(first.data.length, 2);
  assert.ok(first.has_more);
  assert.deepEqual(await collect(ai.batches.list({ limit: 2 })), batches.map((each) => each.id).reverse());
  assert.deepEqual(await collect(ai.files.list({ limit: 2, order: "asc" })), files.map((each) => each.id));
});

test("a deleted file is gone", async () => {
  const ai = client("dai_sk_delete");
  const file = await upload(ai, [line("one")]);

  const deleted = await ai.files.delete(file.id);

  assert.deepEqual(deleted, { id: file.id, object: "file", deleted: true });
  await assert.rejects(ai.files.retrieve(file.id), OpenAI.NotFoundError);
  assert.deepEqual(await collect(ai.files.list()), []);
});

test("a file is what was uploaded, byte for byte", async () => {
  const ai = client("dai_sk_bytes");
  const content = Buffer.from(Array.from({ length: 1024 }, (_, n) => n % 256));
  const file = await ai.files.create({ file: await toFile(content, "übung.bin"), purpose: "user_data" });

  const downloaded = Buffer.from(await (await ai.files.content(file.id)).arrayBuffer());

  assert.equal(file.filename, "übung.bin");
  assert.equal((await ai.files.waitForProcessing(file.id)).status, "processed");
  assert.ok(downloaded.equals(content));
});

test("a streamed chat says what the whole answer says", async () => {
  const ai = client("dai_sk_chat");
  const whole = await ai.chat.completions.create({ model: MODEL, messages: RIVER });

  let text = "";
  let usage = null;
  const asked = { model: MODEL, messages: RIVER, stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await ai.chat.completions.create(asked)) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }

  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.total_tokens, whole.usage.total_tokens);
});

test("the SDK's own gatherer of streams makes a whole completion", async () => {
  const completion = await client("dai_sk_gather")
    .chat.completions.stream({ model: MODEL, messages: RIVER })
    .finalChatCompletion();

  assert.equal(completion.choices[0].finish_reason, "stop");
  assert.ok(completion.choices[0].message.content);
});

test("a vector has length 1, as numbers and as the base64 that the SDK asks for by itself", async () => {
  const ai = client("dai_sk_vectors");
  const asked = { model: "text-embedding-3-small", input: "ebb", dimensions: 8 };

  const [packed, plain] = [
    (await ai.embeddings.create(asked)).data[0].embedding,
    (await ai.embeddings.create({ ...asked, encoding_format: "float" })).data[0].embedding,
  ];

  assert.equal(packed.length, 8);
  assert.ok(Math.abs(Math.hypot(...packed) - 1) < 1e-6);
  assert.ok(packed.every((each, n) => Math.abs(each - plain[n]) < 1e-6));
});

test("models are listed and found", async () => {
  const ai = client("dai_sk_models");

  const ids = await collect(ai.models.list());

  assert.ok(ids.includes(MODEL));
  assert.equal((await ai.models.retrieve(MODEL)).id, MODEL);
});

const REFUSALS = [
  ["400", OpenAI.BadRequestError, (ai) => ai.batches.create({ input_file_id: "file-x", endpoint: "/v1/dreams" })],
  ["404", OpenAI.NotFoundError, (ai) => ai.batches.retrieve("batch_x")],
  ["409", OpenAI.ConflictError, cancelTooLate],
  ["401", OpenAI.AuthenticationError, () => client("mock-revoked-key").models.list()],
  ["429", OpenAI.RateLimitError, () => client("mock-status-429").models.list()],
  ["500", OpenAI.InternalServerError, () => client("mock-status-500").models.list()],
];

async function cancelTooLate(ai) {
  const begun = await start(ai, await upload(ai, [line("one")]));
  await polled(ai, begun.id);
  await ai.batches.cancel(begun.id);
}

for (const [status, errorClass, refused] of REFUSALS) {
  test(`a refusal with ${status} becomes a ${errorClass.name}`, async () => {
    await assert.rejects(async () => refused(client("dai_sk_refused")), (error) => {
      assert.equal(error.constructor, errorClass);
      assert.equal(error.status, Number(status));
      assert.ok(error.error.message);
      assert.ok(error.type);
      assert.ok(error.requestID);
      return true;
    });
  });
}

test("who asks too often is told when to come back", async () => {
  await assert.rejects(async () => client("mock-status-429").models.list(), (error) => {
    assert.match(error.headers.get("retry-after"), /^\d+$/);
    return true;
  });
});
