"""The Lua scripts of a store in Redis. Each is given the prefix of all keys first, then mostly a sandbox."""

from mockserver.stores.backend import OWNED

# Keys, each after PREFIX: "s" + sandbox (a hash: version, used, key, pinned, due), "c" + sandbox + collection (a hash
# of contents), "o" + sandbox + collection (a sorted set of keys), "n" + sandbox (its collections), "u" + sandbox (a
# hash: the blobs of a value), "b" + blob + number (a chunk), "w" + blob (the values that refer to it); and those of
# the whole store: "sandboxes" and "used" (sorted sets of names), "keys" (a hash of names by key), "ids", "places",
# "unused" (a sorted set of blobs), "gone" (a hash: the sandbox of each "g" + number, a "u" that is not in use), and
# "staged" (a sorted set: the names under which imports are being written).
COMMON = """
local P, S, N = ARGV[1], '\\31', ARGV[2]
local head = P .. 's' .. S .. N
local function of(kind, collection) return P .. kind .. S .. N .. S .. collection end
local version = redis.call('HGET', head, 'version') or '0'
"""
FETCH = """
local found = {version}
for i = 3, #ARGV, 2 do found[#found + 1] = redis.call('HGET', of('c', ARGV[i]), ARGV[i + 1]) end
return found
"""
RANGE_MOST, RANGE_BYTES = 1000, 1024 * 1024
"""The most values that one script reads in order, and the bytes after which it reads no more of them."""
RANGE = f"""
local most = math.min(tonumber(ARGV[6]), {RANGE_MOST})
local keys, found, contents, bytes = redis.call(ARGV[4], of('o', ARGV[3]), ARGV[5], ARGV[5] + most - 1), {{}}, {{}}, 0
for i, key in ipairs(keys) do
  if bytes > {RANGE_BYTES} then break end
  found[i], contents[i] = key, redis.call('HGET', of('c', ARGV[3]), key)
  bytes = bytes + #contents[i]
end
return {{version, found, contents, (#found < #keys or #keys == {RANGE_MOST}) and 1 or 0}}
"""
COUNT = "return {version, redis.call('HLEN', of('c', ARGV[3]))}"
REMOVE = f"""
local function remove(blob)
  redis.call('ZREM', P .. 'unused', blob)
  local number = 0
  while redis.call('UNLINK', P .. 'b' .. S .. blob .. S .. number) == 1 do number = number + 1 end
end
local function release(blob, value, now)
  redis.call('SREM', P .. 'w' .. S .. blob, value)
  if string.sub(blob, 1, {len(OWNED)}) == '{OWNED}' then
    remove(blob)
  else
    redis.call('ZADD', P .. 'unused', now, blob)
  end
end
"""
RELEASED_AT_ONCE = 200
"""The values of which one script lets the blobs go; those of more are left to `release`."""
USES = f"""
{REMOVE}
local uses = P .. 'u' .. S .. N
local function refer(collection, key, blobs)
  local field = collection .. S .. key
  local before = redis.call('HGET', uses, field)
  if (before or '') == blobs then return end
  for blob in string.gmatch(before or '', '[^ ]+') do release(blob, N .. S .. field, now) end
  for blob in string.gmatch(blobs, '[^ ]+') do redis.call('SADD', P .. 'w' .. S .. blob, N .. S .. field) end
  if blobs == '' then redis.call('HDEL', uses, field) else redis.call('HSET', uses, field, blobs) end
end
local function empty(kept)
  if redis.call('HLEN', uses) > {RELEASED_AT_ONCE} then
    local gone = P .. 'g' .. S .. redis.call('INCR', P .. 'ids')
    redis.call('RENAME', uses, gone)
    redis.call('HSET', P .. 'gone', gone, N)
    for collection in pairs(kept) do
      for _, key in ipairs(redis.call('ZRANGE', of('o', collection), 0, -1)) do
        local blobs = redis.call('HGET', gone, collection .. S .. key)
        if blobs then redis.call('HSET', uses, collection .. S .. key, blobs) end
      end
    end
  else
    for _, field in ipairs(redis.call('HKEYS', uses)) do
      local collection, key = string.match(field, '^(.-)' .. S .. '(.*)$')
      if not kept[collection] then refer(collection, key, '') end
    end
  end
  for _, collection in ipairs(redis.call('SMEMBERS', P .. 'n' .. S .. N)) do
    if not kept[collection] then
      redis.call('UNLINK', of('c', collection), of('o', collection))
      redis.call('SREM', P .. 'n' .. S .. N, collection)
    end
  end
end
"""
# Takes over the values that were written aside under another name.
ADOPT = """
local function adopt(other)
  local names, theirs = P .. 'n' .. S .. other, P .. 'u' .. S .. other
  for _, collection in ipairs(redis.call('SMEMBERS', names)) do
    for _, kind in ipairs({'c', 'o'}) do
      redis.call('RENAME', P .. kind .. S .. other .. S .. collection, of(kind, collection))
    end
    redis.call('SADD', P .. 'n' .. S .. N, collection)
  end
  local fields = redis.call('HGETALL', theirs)
  for j = 1, #fields, 2 do
    redis.call('HSET', uses, fields[j], fields[j + 1])
    for blob in string.gmatch(fields[j + 1], '[^ ]+') do
      redis.call('SREM', P .. 'w' .. S .. blob, other .. S .. fields[j])
      redis.call('SADD', P .. 'w' .. S .. blob, N .. S .. fields[j])
    end
  end
  redis.call('HINCRBY', head, 'commits', redis.call('HGET', P .. 's' .. S .. other, 'commits') or 0)
  redis.call('UNLINK', P .. 's' .. S .. other, names, theirs)
  redis.call('ZREM', P .. 'staged', other)
end
"""
COMMIT = f"""
if version ~= ARGV[3] then return '' end
local now, i, is_listed = ARGV[4], 9, string.byte(N) ~= 1
{USES}
{ADOPT}
if version == '0' then
  redis.call('HSET', head, 'version', string.format('%.0f', redis.call('INCR', P .. 'ids') * 16777216))
  if is_listed then redis.call('ZADD', P .. 'sandboxes', redis.call('INCR', P .. 'places'), N) end
end
redis.call('HSET', head, 'used', now)
if is_listed then redis.call('ZADD', P .. 'used', now, N) end
if ARGV[6] ~= '-' then
  local before = redis.call('HGET', head, 'key')
  if before and before ~= ARGV[5] then redis.call('HDEL', P .. 'keys', before) end
  if ARGV[5] ~= '' then redis.call('HSET', P .. 'keys', ARGV[5], N) end
  redis.call('HSET', head, 'key', ARGV[5], 'pinned', ARGV[6], 'due', ARGV[7])
  if ARGV[7] ~= '' and is_listed then
    redis.call('ZADD', P .. 'due', ARGV[7], N)
  else
    redis.call('ZREM', P .. 'due', N)
  end
end
if ARGV[8] ~= '' then
  local kept = {{}}
  for j = 1, tonumber(ARGV[8]) do kept[ARGV[i]] = true; i = i + 1 end
  empty(kept)
end
local staged = ARGV[i]; i = i + 1
if staged ~= '' then adopt(staged) end
local has_uses = redis.call('EXISTS', uses) == 1
local function delete(collection, key)
  redis.call('HDEL', of('c', collection), key)
  redis.call('ZREM', of('o', collection), key)
  if has_uses then refer(collection, key, '') end
end
local place = redis.call('HINCRBY', head, 'commits', 1) * 1048576
local deleted = tonumber(ARGV[i]); i = i + 1
for j = 1, deleted do delete(ARGV[i], ARGV[i + 1]); i = i + 2 end
while i <= #ARGV do
  local collection, key = ARGV[i], ARGV[i + 1]
  if ARGV[i + 3] == '1' then delete(collection, key) end
  if redis.call('HSET', of('c', collection), key, ARGV[i + 2]) == 1 then
    redis.call('ZADD', of('o', collection), place + i, key)
    redis.call('SADD', P .. 'n' .. S .. N, collection)
  end
  if has_uses or ARGV[i + 4] ~= '' then refer(collection, key, ARGV[i + 4]) end
  i = i + 5
end
return string.format('%.0f', redis.call('HINCRBY', head, 'version', 1))
"""
DROP = f"""
if version == '0' then return 0 end
if tonumber(redis.call('HGET', head, 'used')) > (tonumber(ARGV[4]) or math.huge) then return 0 end
local now = ARGV[3]
{USES}
empty({{}})
local key = redis.call('HGET', head, 'key')
if key then redis.call('HDEL', P .. 'keys', key) end
redis.call('ZREM', P .. 'sandboxes', N)
redis.call('ZREM', P .. 'used', N)
redis.call('ZREM', P .. 'due', N)
redis.call('UNLINK', head, P .. 'n' .. S .. N, uses)
return 1
"""
LISTING = """
local P, S = ARGV[1], '\\31'
local function listed(names)
  local found = {}
  for i, name in ipairs(names) do
    found[i] = {name, unpack(redis.call('HMGET', P .. 's' .. S .. name, 'used', 'key', 'pinned', 'due'))}
  end
  return found
end
"""
ENTRIES = """
local found = redis.call('ZRANGEBYSCORE', P .. 'sandboxes', '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local names = {}
for i = 1, #found, 2 do names[#names + 1] = found[i] end
return {listed(names), found[#found] or ''}
"""
OLDEST = "return listed(redis.call('ZRANGE', P .. 'used', 0, tonumber(ARGV[2])))"
DUE = "return listed(redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', ARGV[2]))"
IDLE = "return listed(redis.call('ZRANGEBYSCORE', P .. 'used', '-inf', ARGV[2]))"
EVERY = """
local found = {}
for _, name in ipairs(redis.call('ZRANGE', P .. 'sandboxes', ARGV[2], ARGV[3])) do
  found[#found + 1] = redis.call('HGET', P .. 'c' .. S .. name .. S .. ARGV[4], ARGV[5]) or nil
end
return found
"""
ENTRY = """
local name = N
if version == '0' then name = redis.call('HGET', P .. 'keys', N) end
if not name then return {} end
return {name, unpack(redis.call('HMGET', P .. 's' .. S .. name, 'used', 'key', 'pinned', 'due'))}
"""
TOTALS = """
local counts, found = {}, {}
for _, name in ipairs(redis.call('ZRANGE', P .. 'sandboxes', ARGV[2], ARGV[3])) do
  for _, collection in ipairs(redis.call('SMEMBERS', P .. 'n' .. S .. name)) do
    local count = redis.call('HLEN', P .. 'c' .. S .. name .. S .. collection)
    counts[collection] = (counts[collection] or 0) + count
  end
end
for collection, count in pairs(counts) do
  found[#found + 1] = collection
  found[#found + 1] = count
end
return found
"""
UNUSED = """
local blobs = redis.call('ZRANGEBYSCORE', P .. 'unused', '-inf', ARGV[2], 'LIMIT', ARGV[3], ARGV[4])
local found = {#blobs}
for _, blob in ipairs(blobs) do
  if redis.call('SCARD', P .. 'w' .. S .. blob) == 0 then
    found[#found + 1] = blob
    found[#found + 1] = redis.call('ZSCORE', P .. 'unused', blob)
  else
    redis.call('ZREM', P .. 'unused', blob)
  end
end
return found
"""
SWEEP = f"""
{REMOVE}
for i = 3, #ARGV do
  local blob = ARGV[i]
  local since = tonumber(redis.call('ZSCORE', P .. 'unused', blob) or math.huge)
  if since <= tonumber(ARGV[2]) and redis.call('SCARD', P .. 'w' .. S .. blob) == 0 then remove(blob) end
end
"""
# The blobs of values that were deleted together. The same field may be in use again, by a later value.
RELEASE = f"""
{REMOVE}
local gone, now = ARGV[2], ARGV[3]
local name = redis.call('HGET', P .. 'gone', gone)
if not name then return 0 end
local uses = P .. 'u' .. S .. name
local fields = redis.call('HRANDFIELD', gone, {RELEASED_AT_ONCE})
for _, field in ipairs(fields) do
  local again = ' ' .. (redis.call('HGET', uses, field) or '') .. ' '
  for blob in string.gmatch(redis.call('HGET', gone, field), '[^ ]+') do
    if not string.find(again, ' ' .. blob .. ' ', 1, true) then release(blob, name .. S .. field, now) end
  end
  redis.call('HDEL', gone, field)
end
if redis.call('EXISTS', gone) == 0 then redis.call('HDEL', P .. 'gone', gone) end
return #fields
"""

SCRIPTS = {
    **{
        name: COMMON + text
        for name, text in {
            "fetch": FETCH,
            "range": RANGE,
            "count": COUNT,
            "commit": COMMIT,
            "drop": DROP,
            "entry": ENTRY,
        }.items()
    },
    **{
        name: LISTING + text
        for name, text in {
            "entries": ENTRIES,
            "oldest": OLDEST,
            "due": DUE,
            "idle": IDLE,
            "unused": UNUSED,
            "sweep": SWEEP,
            "release": RELEASE,
            "totals": TOTALS,
            "every": EVERY,
        }.items()
    },
}
"""All scripts by name."""
