// What happens in sessions is told to khive, and what fits is told to the model.
// Written by `khive-supervisor connect opencode --hooks`; `--no-hooks` takes it out.
import { spawn, spawnSync } from "node:child_process"

const COMMAND = ["khive-supervisor", "hook"]
const VARIABLES = {}
const LONGEST = 3000 // milliseconds

// Each tool as other clients call it, and what it was given.
const TOOLS = {
  bash: (args) => ["Bash", { command: args.command }],
  edit: (args) => ["Edit", { file_path: args.filePath }],
  write: (args) => ["Write", { file_path: args.filePath }],
  patch: (args) => ["apply_patch", { patch: args.patchText ?? args.patch }],
}

const wordsOf = (event) => [...COMMAND.slice(1), event, "--client", "opencode"]
const environment = () => ({ ...process.env, ...VARIABLES })

const printed = (event, said, cwd) =>
  new Promise((resolve) => {
    let text = ""
    const options = { cwd, env: environment(), stdio: ["pipe", "pipe", "ignore"] }
    const hook = spawn(COMMAND[0], wordsOf(event), options)
    const timer = setTimeout(() => hook.kill(), LONGEST)
    hook.stdout.on("data", (data) => (text += data))
    hook.stdin.on("error", () => {})
    hook.on("error", () => resolve(""))
    hook.on("close", () => (clearTimeout(timer), resolve(text)))
    hook.stdin.end(JSON.stringify(said))
  })

export const Khive = async ({ client, directory }) => {
  const sessions = new Map() // by id: { brief, answer }, or null for a subagent's

  // What the model is to read; nothing if anything goes wrong.
  const tell = async (event, id, said = {}) => {
    try {
      const text = await printed(event, { session_id: id, ...said }, directory)
      return (text && JSON.parse(text).hookSpecificOutput.additionalContext) || ""
    } catch {
      return ""
    }
  }

  // At a session's pauses and end: some 30 ms, since this process may be gone before a hook begins.
  const tellNow = (event, id, said = {}) => {
    const input = JSON.stringify({ session_id: id, ...said })
    const options = { cwd: directory, env: environment(), input, timeout: LONGEST }
    spawnSync(COMMAND[0], wordsOf(event), options)
  }

  const begin = async (id, source) => {
    const brief = await tell("session-start", id, { source })
    sessions.set(id, { answer: "", ...sessions.get(id), brief })
  }

  // An agent writes the prompts of its subagents: those are nobody's words.
  const isOwn = async (id) => {
    if (!sessions.has(id)) {
      const found = await client.session.get({ path: { id } }).catch(() => undefined)
      if (!found?.data || found.data.parentID) sessions.set(id, null)
      else await begin(id, "startup")
    }
    return sessions.get(id) !== null
  }

  const prompted = async ({ sessionID }, { message, parts }) => {
    if (!(await isOwn(sessionID))) return
    const said = parts.filter((part) => part.type === "text" && !part.synthetic && !part.ignored)
    let prompt = said.map((part) => part.text).join("\n")
    // `opencode run` puts a message into quotes.
    if (process.argv.includes(prompt.slice(1, -1))) prompt = prompt.slice(1, -1)
    const text = await tell("user-prompt-submit", sessionID, { prompt })
    if (!text) return
    const id = `${parts[parts.length - 1]?.id ?? "prt_khive"}k`
    parts.push({ id, sessionID, messageID: message.id, type: "text", text, synthetic: true })
  }

  const used = async ({ tool, sessionID, args }, output) => {
    if (!sessions.get(sessionID) || !TOOLS[tool]) return
    const [name, given] = TOOLS[tool](args ?? {})
    const response = { output: output.output, exit_code: output.metadata?.exit ?? undefined }
    const said = { tool_name: name, tool_input: given, tool_response: response }
    const text = await tell("post-tool-use", sessionID, said)
    if (text) output.output += `\n\n${text}`
  }

  const happened = async ({ type, properties }) => {
    const id = properties?.sessionID
    if (type === "session.created" && properties.info?.parentID) sessions.set(id, null)
    if (!sessions.get(id)) return
    const answer = sessions.get(id).answer
    if (type === "session.idle") tellNow("stop", id, { last_assistant_message: answer })
    if (type === "permission.asked" || type === "permission.updated") tellNow("permission-request", id)
    if (type === "session.compacted") await begin(id, "compact")
  }

  return {
    "chat.message": prompted,
    "tool.execute.after": used,
    event: ({ event }) => happened(event),
    "experimental.chat.system.transform": async ({ sessionID }, { system }) => {
      const brief = sessions.get(sessionID)?.brief
      if (brief && !system[0]?.startsWith("You are a title generator")) system.push(brief)
    },
    "experimental.text.complete": async ({ sessionID }, { text }) => {
      if (sessions.get(sessionID)) sessions.get(sessionID).answer = text
    },
    "experimental.session.compacting": async ({ sessionID }) => {
      if (sessions.get(sessionID)) await tell("pre-compact", sessionID)
    },
    dispose: async () => {
      for (const [id, own] of sessions) if (own) tellNow("session-end", id)
    },
  }
}
