-- Validates requests and forwards only the headers that the sidecar reads. Envoy runs the function
-- once for each request, before it chooses a pod. Invalid requests therefore never reach a pod.

local STREAMING = "^/grpc%.reflection%."

-- A refusal. `status` is the HTTP status for JSON callers. local-replies.yaml adds the gRPC status.
local function refuse(handle, status, message)
  handle:respond({[":status"] = status}, message)
end

local function is_compressed(encoding)
  return encoding == "gzip" or encoding == "deflate"
end

-- Conditions on the values of the headers that the sidecar reads. A header with another value is
-- removed, as are all headers that are not listed.
local function is_short_text(limit)
  return function(value) return #value <= limit and not value:find("[^\32-\126]") end
end
local FORWARDED = {
  ["content-type"] = is_short_text(128),
  ["grpc-encoding"] = is_compressed,
  ["traceparent"] = is_short_text(128),
  ["tracestate"] = is_short_text(512),
  ["undertone-lane"] = is_short_text(64),
  ["x-forwarded-proto"] = is_short_text(8), -- Envoy's own, for its choice of the route
  ["x-undertone-caller"] = is_short_text(256), -- Envoy's own
  ["x-request-id"] = is_short_text(64), -- Envoy's own, for the access log
}

-- Removes headers, and returns the status and the message of a refusal if a header is invalid.
--
-- gRPC reports an invalid value of any header whose name it knows, or ends with -bin, as an error
-- of the call, and keeps an invalid header of a shared connection in its table of headers.
local function check_headers(headers)
  local removed, status, message = {}, nil, nil
  for name, value in pairs(headers) do
    if name:sub(1, 1) ~= ":" then
      local accepts = FORWARDED[name]
      if not accepts or not accepts(value) then
        removed[#removed + 1] = name
      end
      if name == "x-undertone-timeout" and not (#value <= 9 and value:find("^%d+[HMSmun]$")) then
        status, message = "400", "the header grpc-timeout is invalid: send at most 8 digits and a unit, for example 500m"
      elseif name == "grpc-encoding" and value ~= "identity" and not is_compressed(value) then
        status, message = "501", "the compression of the header grpc-encoding is not supported: send gzip, deflate or identity"
      end
    elseif name == ":authority" and #value > 255 then
      status, message = "400", "the header :authority is longer than 255 bytes"
    end
  end
  for _, name in ipairs(removed) do
    headers:remove(name)
  end
  return status, message
end

-- The message of a refusal, unless the body is exactly one gRPC message.
local function check_message(body, encoding)
  local size = body:length()
  if size < 5 then
    return "the call has no message: send one message of 5 or more bytes, with its prefix"
  end
  local flag, a, b, c, d = body:getBytes(0, 5):byte(1, 5)
  local length = ((a * 256 + b) * 256 + c) * 256 + d
  if flag > 1 then
    return "the compression flag of the message is " .. flag .. ": send 0 or 1"
  elseif flag == 1 and not is_compressed(encoding) then
    return "the message is compressed, but the header grpc-encoding is missing: send gzip or deflate"
  elseif length ~= size - 5 then
    return "the prefix announces " .. length .. " bytes, but " .. size - 5 .. " follow: send exactly one message"
  end
end

-- JSON ---------------------------------------------------------------------------------------------
--
-- Envoy's transcoder ignores unknown and repeated fields, and accepts text that is not JSON. These
-- functions accept the requests of the API only. They raise a table with the message of the refusal.
-- `position` is the index of the next byte. The transcoder checks UTF-8 and the values of enums.

local SPACE = "^[ \t\r\n]*()"

local function fail(position, message, ...)
  error({message = "byte " .. position - 1 .. ": " .. message:format(...)})
end

local function skip(body, position)
  return body:match(SPACE, position)
end

-- The position after a string. Bytes outside ASCII are accepted.
local function skip_string(body, position, what)
  if body:byte(position) ~= 34 then
    fail(position, "%s must be a string", what)
  end
  position = position + 1
  while true do
    local stop = body:find('[%z\1-\31"\\]', position)
    local byte = stop and body:byte(stop)
    if byte == 34 then
      return stop + 1
    elseif not stop then
      fail(position, "the string of %s has no end", what)
    elseif byte ~= 92 then
      fail(stop, "the string of %s contains a control character: escape it", what)
    end
    position = body:match('^\\["\\/bfnrt]()', stop) or body:match("^\\u%x%x%x%x()", stop)
    if not position then
      fail(stop, "the escape sequence in the string of %s is invalid", what)
    end
  end
end

local function skip_text(body, position, what)
  return body:match("^null()", position) or skip_string(body, position, what)
end

local function skip_enum(body, position, what)
  return body:match("^null()", position) or body:match("^%-?%d+()", position) or skip_string(body, position, what)
end

-- After an element of an array or object: the position of the next element, and false. At its end,
-- which is the byte `close`: the position after it, and true.
local function skip_separator(body, position, close, what)
  position = skip(body, position)
  local byte = body:byte(position)
  if byte == close then
    return position + 1, true
  elseif byte ~= 44 then
    fail(position, "expected a comma or the end of %s", what)
  end
  return skip(body, position + 1), false
end

local skip_object

-- More paragraphs than any batch may have. The transcoder needs 0.3 ms for 1,000 of them.
local MOST_OBJECTS = 65536

-- The position after an array of objects.
local function skip_objects(fields)
  return function(body, position, what)
    local null = body:match("^null()", position)
    if null then
      return null
    end
    if body:byte(position) ~= 91 then
      fail(position, "%s must be an array", what)
    end
    position = skip(body, position + 1)
    if body:byte(position) == 93 then
      return position + 1
    end
    local each = "an element of " .. what
    for _ = 1, MOST_OBJECTS do
      local ended
      position, ended = skip_separator(body, skip_object(body, position, fields, each), 93, what)
      if ended then
        return position
      end
    end
    fail(position, "%s has more than %d elements: send several smaller requests", what, MOST_OBJECTS)
  end
end

function skip_object(body, position, fields, what)
  if body:byte(position) ~= 123 then
    fail(position, "%s must be an object", what)
  end
  position = skip(body, position + 1)
  if body:byte(position) == 125 then
    return position + 1
  end
  local seen = {}
  while true do
    if body:byte(position) ~= 34 then
      fail(position, "expected the name of a field of %s, in double quotes", what)
    end
    local name, after = body:match('^"([^"\\%z\1-\31]*)"[ \t\r\n]*:[ \t\r\n]*()', position)
    local field = name and fields[name]
    if not field then
      local shown = body:sub(position, position + 40):match('^"[^"%z\1-\31]*"?')
      fail(position, "the field %s of %s is unknown: send %s", shown, what, fields[1])
    elseif seen[field.name] then
      fail(position, "the field %s of %s is repeated: send it once", field.name, what)
    end
    seen[field.name] = true
    local ended
    position, ended = skip_separator(body, field.skip(body, after, field.name), 125, what)
    if ended then
      return position
    end
  end
end

-- Fields by name. The first element lists them for messages.
local PARAGRAPH = {"text or id", text = {name = "text", skip = skip_text}, id = {name = "id", skip = skip_text}}
local POLICY = {name = "overlengthPolicy", skip = skip_enum}
local BODIES = {
  ["/v1/paragraphs:classify"] = {
    "text, id or overlengthPolicy",
    text = PARAGRAPH.text,
    id = PARAGRAPH.id,
    overlengthPolicy = POLICY,
    overlength_policy = POLICY,
  },
  ["/v1/paragraphs:classifyBatch"] = {
    "paragraphs or overlengthPolicy",
    paragraphs = {name = "paragraphs", skip = skip_objects(PARAGRAPH)},
    overlengthPolicy = POLICY,
    overlength_policy = POLICY,
  },
}

local function parse(body, fields)
  local position = skip(body, skip_object(body, skip(body, 1), fields, "the request"))
  if position <= #body then
    fail(position, "the request has ended, but more bytes follow")
  end
end

-- The message of a refusal, unless the body is a valid request in JSON for the path.
local function check_json(body, path)
  if body:length() == 0 then
    return "the body is empty: send a JSON object"
  end
  local ok, failure = pcall(parse, body:getBytes(0, body:length()), BODIES[path])
  if not ok then
    return "the request is invalid: " .. (failure.message or tostring(failure))
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, encoding = headers:get(":path"), headers:get("grpc-encoding")
  local timeout = headers:get("x-undertone-timeout")
  local json = BODIES[path] or path:find("^/v1/")
  local status, message = check_headers(headers)
  if not status and not json and handle:streamInfo():protocol() ~= "HTTP/2" then
    status, message = "415", "gRPC requires HTTP/2"
  end
  if not status and path:find("?", 1, true) then
    status = "400"
    message = "the path has a query (" .. path:match("%?([^=&]*)"):sub(1, 40) .. "): send the fields of the request in the body"
  end
  if not status and BODIES[path] then
    status, message = "400", check_json(handle:body(true), path)
  elseif not status and not json and not path:find(STREAMING) then
    status, message = "400", check_message(handle:body(true), encoding)
  end
  if message then
    refuse(handle, status, message)
  else
    headers = handle:headers() -- the former object is invalid after the wait for the body
    headers:add("x-undertone-checked", "1")
    if timeout then
      headers:replace("grpc-timeout", timeout)
    end
    if not json then
      handle:clearRouteCache() -- the transcoder does it for JSON
    end
  end
end
