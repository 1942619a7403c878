import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startSandbox } from "./sandbox.js";
import { translate } from "./translate.js";

const SENTENCES = { first: "Good morning.", second: "Good night." };
let sandbox;

before(async () => {
  sandbox = await startSandbox();
});
after(() => sandbox.stop());

test("every sentence is translated", async () => {
  const found = await translate(SENTENCES, { client: sandbox.client("all-good"), wait: 0 });

  assert.deepEqual(Object.keys(found.translations).sort(), ["first", "second"]);
  assert.deepEqual(found.errors, {});
});

test("a sentence that fails is reported, and the other is kept", async () => {
  const sentences = { ...SENTENCES, second: "[mock:fail=429] Good night." };
  const found = await translate(sentences, { client: sandbox.client("one-fails"), wait: 0 });

  assert.deepEqual(Object.keys(found.translations), ["first"]);
  assert.deepEqual(Object.keys(found.errors), ["second"]);
});

test("what was sent can be looked at", async () => {
  await translate(SENTENCES, { client: sandbox.client("looked-at"), wait: 0 });

  const { count } = await sandbox.admin("looked-at", "POST", "/requests/count", { operation: "createBatch" });
  assert.equal(count, 1);
});

test("a revoked key is an AuthenticationError", async () => {
  const client = sandbox.client("mock-revoked-key");

  await assert.rejects(translate(SENTENCES, { client, wait: 0 }), OpenAI.AuthenticationError);
});
