-- The load: one fixed request with the method BENCH_METHOD, the body of the file BENCH_BODY if it is set, and the token
-- BENCH_TOKEN; ends with one line of JSON.
wrk.method = os.getenv("BENCH_METHOD")
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN")
if os.getenv("BENCH_BODY") then
   local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
   wrk.body = file:read("*a")
   wrk.headers["Content-Type"] = "application/json"
   file:close()
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "bad_statuses": %d, "broken": %d, "p99": %d}\n',
      summary.requests, summary.duration, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(99)))
end
