-- Takes from the budget of a model, or answers after how many milliseconds there is enough. Local.Take says the same in Go.
-- KEYS: the bucket. ARGV: requests a minute (0: no limit) and at once, tokens a minute (0: no limit) and at once, then
-- the requests and tokens to take. With no request, tokens are taken or (below zero) given back whatever is left.
local perMinute = { tonumber(ARGV[1]), tonumber(ARGV[3]) }
local burst = { tonumber(ARGV[2]), tonumber(ARGV[4]) }
local wanted = { tonumber(ARGV[5]), tonumber(ARGV[6]) }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call('HMGET', KEYS[1], 'at', 'requests', 'tokens')
local passed = math.max(0, now - (tonumber(stored[1]) or now)) / 60000

local left, wait = {}, 0
for i = 1, 2 do
  left[i] = math.min(burst[i], (tonumber(stored[i + 1]) or burst[i]) + passed * perMinute[i])
  local need = math.min(wanted[i], burst[i])
  if wanted[1] > 0 and perMinute[i] > 0 and left[i] < need then
    wait = math.max(wait, (need - left[i]) / perMinute[i] * 60000 + 1)
  end
end
if wait == 0 then
  for i = 1, 2 do
    if perMinute[i] > 0 then left[i] = math.min(burst[i], left[i] - wanted[i]) end
  end
end
redis.call('HSET', KEYS[1], 'at', now, 'requests', tostring(left[1]), 'tokens', tostring(left[2]))
-- What has not been touched for so long is full again, unless it is deep in debt.
redis.call('PEXPIRE', KEYS[1], 120000 + math.max(0, -left[2]) / math.max(1, perMinute[2]) * 60000)
return math.ceil(wait)
