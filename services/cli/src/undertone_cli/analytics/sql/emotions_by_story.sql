-- The mean probability of each emotion in each story, and how often the emotion leads.
--
-- document: the story
-- model: name, version, precision and policy
-- emotion: the emotion
-- paragraphs: the number of scored paragraphs of the story
-- mean_probability: the mean probability of the emotion
-- leading_paragraphs: the number of paragraphs in which the emotion has the highest probability
-- leading_share: leading_paragraphs divided by paragraphs
SELECT
  document,
  model,
  emotion,
  COUNT(*) AS paragraphs,
  AVG(probability) AS mean_probability,
  CAST(SUM(CASE WHEN label = emotion THEN 1 ELSE 0 END) AS BIGINT) AS leading_paragraphs,
  CAST(SUM(CASE WHEN label = emotion THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS leading_share
FROM emotions_long
GROUP BY document, model, emotion
