#!/usr/bin/env bash
# Start a sandbox, queue a batch of Agent First, wait for it, fetch the answers, stop the sandbox.
set -euo pipefail

folder=$(mktemp -d)
mockserver serve --port 0 --port-file "$folder/port" --progression polls:3 > "$folder/log" 2>&1 &
server=$!
trap 'kill "$server" 2> /dev/null || true; wait "$server" || true; rm -rf "$folder"' EXIT

# Wait until it is ready, but not for ever, and not when it has ended.
for _ in $(seq 100); do
  [ ! -s "$folder/port" ] || break
  kill -0 "$server" 2> /dev/null || { cat "$folder/log"; exit 1; }
  sleep 0.1
done
url="http://127.0.0.1:$(cat "$folder/port")"

ask() { curl --silent --show-error --fail-with-body -H "Authorization: Bearer curl-example" "$@"; }

# Queue.
queued=$(ask "$url/ai/batches" --json '{"prompts": ["Where can I buy a vintage guitar?", "[mock:fail] Who repairs guitars?"]}')
id=$(grep -o '[0-9a-f-]\{36\}' <<< "$queued")
echo "queued $id"

# Poll. With --progression polls:3 the third poll returns the final status; poll the real API less often.
batch=""
until grep -q -e '"status":"successful"' -e '"status":"failed"' <<< "$batch"; do
  batch=$(ask "$url/ai/batches?id=$id")
  grep -o '"status":"[a-z]*"' <<< "$batch"
done

# Fetch: one line of JSON for each prompt, in their order. A prompt that failed has only a status.
archive=$(grep -o 'http[^"]*' <<< "$batch")
ask "$archive?format=ndjson" | cut -c 1-72
