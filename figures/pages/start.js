// Last on every page.
startTheme();
startTables();
if (typeof startExplorer === "function") startExplorer();
if (typeof startTokens === "function") startTokens();
if (typeof startReview === "function") startReview();
startFigures();
addEventListener("hashchange", unfold);
unfold();
