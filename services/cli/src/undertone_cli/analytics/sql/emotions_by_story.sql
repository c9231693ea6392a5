-- The mean probability of each emotion in each story, and how many paragraphs have the emotion.
--
-- document: the story
-- model: name, version, precision and policy
-- emotion: the emotion
-- paragraphs: the number of paragraphs of the story that have a score
-- mean_probability: the mean probability of the emotion
-- labelled_paragraphs: the number of paragraphs that have the emotion; some may have several
-- labelled_share: labelled_paragraphs divided by paragraphs
-- unlabelled_paragraphs: the number of paragraphs that have no emotion, the same for each emotion
-- unlabelled_share: unlabelled_paragraphs divided by paragraphs
-- flagged_paragraphs: the number of paragraphs whose score is not reliable, the same for each emotion
-- unflagged_labelled_share: labelled_share of the paragraphs without flags, or NULL without any
SELECT
  document,
  model,
  emotion,
  COUNT(*) AS paragraphs,
  AVG(probability) AS mean_probability,
  CAST(SUM(CASE WHEN has_label THEN 1 ELSE 0 END) AS BIGINT) AS labelled_paragraphs,
  CAST(SUM(CASE WHEN has_label THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS labelled_share,
  CAST(SUM(CASE WHEN label_count = 0 THEN 1 ELSE 0 END) AS BIGINT) AS unlabelled_paragraphs,
  CAST(SUM(CASE WHEN label_count = 0 THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS unlabelled_share,
  CAST(SUM(CASE WHEN flagged THEN 1 ELSE 0 END) AS BIGINT) AS flagged_paragraphs,
  CAST(SUM(CASE WHEN has_label AND NOT flagged THEN 1 ELSE 0 END) AS DOUBLE)
    / NULLIF(SUM(CASE WHEN flagged THEN 0 ELSE 1 END), 0) AS unflagged_labelled_share
FROM emotions_long
GROUP BY document, model, emotion
