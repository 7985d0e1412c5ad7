{
  "id": "",
  "lang": "typescript",
  "build": {
    "hooks": {
      // Worker threads run files of their own; Encore's bundler makes one file of the app.
      "prebuild": "node scripts/build-workers.mjs"
    }
  }
}
