-- wrk script: one signed body, a GUID of its own for every request.
-- Arguments: body file, signature, event, a prefix of eight hex digits that no other run of wrk has used.
local head, tail, prefix, count

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local body = file:read("*a")
  file:close()
  prefix, count = args[4], 0
  local request = table.concat({
    "POST /webhook HTTP/1.1",
    "Host: 127.0.0.1",
    "User-Agent: GitHub-Hookshot/bench",
    "Content-Type: application/json",
    "X-GitHub-Event: " .. args[3],
    "X-GitHub-Hook-ID: 1",
    "X-Hub-Signature-256: " .. args[2],
    "Content-Length: " .. #body,
    "X-GitHub-Delivery: ",
  }, "\r\n")
  head, tail = request, "\r\n\r\n" .. body
end

function request()
  count = count + 1
  return head .. string.format("%s-0000-4000-8000-%012x", prefix, count) .. tail
end
